"""The class token to one number per class."""

import numpy as np
from einops import reduce
from jaxtyping import Float, Integer

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import (
    Array,
    Weights,
    layer_norm,
    linear,
)
from timesformer_ref.weights import part


def final_norm(
    tokens: Float[Array, "b2 s d"],
    weights: Weights,
    config: TimeSformerConfig,
    frames: int,
) -> Float[Array, "b s d"]:
    """The last LayerNorm (paper, eq. 10; original `forward_features`).

    Where each frame was a clip of its own, the frames are averaged
    first.
    """
    if config.separate_frames:
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
    eps = config.layer_norm_eps
    return layer_norm(tokens, part(weights, "norm"), eps)


def classifier(
    tokens: Float[Array, "b2 s d"],
    weights: Weights,
    config: TimeSformerConfig,
    frames: int,
) -> Float[Array, "b labels"]:
    """Logits: one linear layer on the normed class token.

    (An MLP in the paper, after eq. 10.)
    """
    normed = final_norm(tokens, weights, config, frames)
    return linear(normed[:, 0], part(weights, "head"))


def cross_entropy(
    logits: Float[Array, "b labels"], labels: Integer[Array, " b"]
) -> np.floating:
    """The mean of -log softmax(logits)[label]: the training loss."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    log_softmax = shifted - np.log(total)
    chosen = np.take_along_axis(log_softmax, labels[:, None], axis=1)
    return -chosen.mean()
