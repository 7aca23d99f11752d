"""Attention by hand: a token's first two numbers are query and key, the last two its value."""

from __future__ import annotations

import numpy as np

from timesformer_ref.numpy_blocks.layers import layer_norm, self_attention

tokens = np.array(
    [
        [2.0, 0, 1, 0],
        [0.0, 2, 0, 1],
        [2.0, 2, 0, 0],
    ]
)
find = np.diag([1.0, 1, 0, 0])
pass_on = np.diag([0.0, 0, 1, 1])
weights = {
    "qkv.weight": np.concatenate([find, find, pass_on]),
    "proj.weight": np.eye(4),
    "proj.bias": np.zeros(4),
}


def show(what: str, rows: np.ndarray) -> None:
    """Print a matrix, one line per token."""
    print(what)
    for name, row in zip("ABC", rows, strict=False):
        print(f"   {name}", *(f"{number:6.2f}" for number in row))


update, attention = self_attention(tokens[None], weights, heads=1)
show("tokens", tokens)
show("scores", tokens @ find @ tokens.T / np.sqrt(4))
show("attention", attention[0, 0])
show("tokens + update", tokens + update[0])

_, attention = self_attention(tokens[None], weights, heads=2)
for head, rows in enumerate(attention[0]):
    show(f"\nhead {head} of 2", rows)

norm = {"weight": np.ones(4), "bias": np.zeros(4)}
print("\nC normed", *layer_norm(tokens[2], norm, eps=1e-6).round(2))
