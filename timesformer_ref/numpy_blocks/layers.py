"""The few layers that every block is made of."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int

from timesformer_ref.weights import part

Array = np.ndarray
Weights = Mapping[str, np.ndarray]


def linear(
    x: Float[Array, "*batch i"], w: Weights, bias: bool = True
) -> Float[Array, "*batch o"]:
    """Multiply by `weight` (o i) transposed, and add `bias` (o)."""
    # one product for all tokens, unlike x @ W.T
    y = np.tensordot(x, w["weight"], axes=(-1, -1))
    return y + w["bias"] if bias else y


def layer_norm(
    x: Float[Array, "*batch d"], w: Weights, eps: float
) -> Float[Array, "*batch d"]:
    """Normalise each token, then scale and shift it.

    To mean 0 and variance 1, the biased variance.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * w["weight"] + w["bias"]


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The exact GELU: x times the normal distribution function at x."""
    from scipy.special import erf  # slow, and PyTorch's users need none

    return x * (1 + erf(x / sqrt(2))) / 2


def softmax(x: Float[Array, "*batch s"]) -> Float[Array, "*batch s"]:
    """exp(x) / sum exp(x) along the last axis.

    The maximum is subtracted first, so that nothing overflows.
    """
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def self_attention(
    x: Float[Array, "g s d"], w: Weights, heads: int
) -> tuple[Float[Array, "g s d"], Float[Array, "g a s s"]]:
    """Let the tokens of each group attend to each other.

    (Paper, eqs. 2 to 8; original `Attention`.)
    x: g groups of s tokens of width d. `w` holds `qkv` and `proj`.
    Returns the new tokens, and the attention weights: row i holds how
    much token i attends to each token of its group.
    """
    qkv = linear(x, part(w, "qkv"), bias="qkv.bias" in w)
    pattern = "g s (three a k) -> three g a s k"
    q, k, v = rearrange(qkv, pattern, three=3, a=heads)
    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))
    mixed = rearrange(attention @ v, "g a s k -> g s (a k)")
    return linear(mixed, part(w, "proj")), attention


def mlp(
    x: Float[Array, "*batch d"], w: Weights
) -> Float[Array, "*batch d"]:
    """Two linear layers with a GELU between them, token by token.

    (Original `Mlp`.) `w` holds `fc1` and `fc2`.
    """
    return linear(gelu(linear(x, part(w, "fc1"))), part(w, "fc2"))


def nearest(size: int, new_size: int) -> Int[Array, " new_size"]:
    """The source index of each place when `size` places are resized.

    There are `new_size` places then; each takes its nearest source. The
    original runs PyTorch's `interpolate` in float32, and its rounding
    is part of the model: 26 places resized to 22 take index 12, not 13,
    for place 11.
    """
    places = np.arange(new_size, dtype=np.float32)
    ratio = np.float32(size) / np.float32(new_size)
    source = np.floor(places * ratio).astype(np.int64)
    return np.minimum(source, size - 1)
