"""The packed projection of queries, keys and values, for libraries that split it otherwise."""

from __future__ import annotations

import numpy as np
from einops import rearrange

from timesformer_ref.numpy_blocks.layers import self_attention

d, heads = 8, 2
rng = np.random.default_rng(0)
qkv = rng.standard_normal((3 * d, d))
x = rng.standard_normal((1, 5, d))

q, k, v = np.split(qkv, 3)  # three layers of their own, as in transformers' ViT, MLX
by_head = rearrange(qkv, "(three a k) i -> a k three i", three=3, a=heads)
kernel = rearrange(qkv, "(three a k) i -> three i a k", three=3, a=heads)  # Flax, Keras: d × a × k
megatron = rearrange(qkv, "(three a k) i -> (a three k) i", three=3, a=heads)

print("original       ", qkv.shape, "rows: all queries, all keys, all values")
print("one for each   ", q.shape)
print("head by head   ", by_head.shape, "-> rows of head 0: q, k, v, then head 1")
print("inputs × heads ", kernel[0].shape)

weights = {"qkv.weight": qkv, "proj.weight": np.eye(d), "proj.bias": np.zeros(d)}
right = self_attention(x, weights, heads)[0]
queries = np.einsum("g s i, i a k -> g s a k", x, kernel[0])
print("same queries   ", np.allclose(queries, rearrange(x @ q.T, "g s (a k) -> g s a k", a=heads)))
wrong = self_attention(x, weights | {"qkv.weight": megatron}, heads)[0]
print(f"packed by head, read as packed by kind: off by {np.abs(wrong - right).max():.1f}")
