"""The class token to one number a class."""

from __future__ import annotations

import numpy as np
from einops import reduce
from jaxtyping import Float, Int

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import Array, Weights, layer_norm, linear
from timesformer_ref.weights import part


def final_norm(
    tokens: Float[Array, "b2 s d"], weights: Weights, config: TimeSformerConfig, frames: int
) -> Float[Array, "b s d"]:
    """The last LayerNorm (paper, eq. 10; original `forward_features`).

    Where each frame was a clip of its own, the frames are averaged first.
    """
    if config.separate_frames:
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
    return layer_norm(tokens, part(weights, "norm"), config.layer_norm_eps)


def classifier(
    tokens: Float[Array, "b2 s d"], weights: Weights, config: TimeSformerConfig, frames: int
) -> Float[Array, "b labels"]:
    """Logits: one linear layer on the normed class token (an MLP in the paper, after eq. 10)."""
    return linear(final_norm(tokens, weights, config, frames)[:, 0], part(weights, "head"))


def cross_entropy(logits: Float[Array, "b labels"], labels: Int[Array, " b"]) -> np.floating:
    """The mean of -log softmax(logits)[label] over the batch: the training loss.

    Raises ValueError for labels that are not one of the classes for each clip.
    """
    clips, classes = logits.shape
    if labels.shape != (clips,) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels {labels}: expected {clips}, each from 0 to {classes - 1}")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()
