"""The whole model: patchify, time embedding, blocks, classifier."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.classifier import (
    classifier,
    cross_entropy,
    final_norm,
)
from timesformer_ref.numpy_blocks.divided_attention import block
from timesformer_ref.numpy_blocks.layers import Array, Weights
from timesformer_ref.numpy_blocks.patchify import patchify
from timesformer_ref.numpy_blocks.time_embedding import time_embedding
from timesformer_ref.weights import check_weights, part


class Output(NamedTuple):
    """What `forward` returns; the last three only on request.

    logits: b labels.
    loss: mean cross-entropy over the batch, where labels were given.
    hidden_states: the tokens that enter block 0, then those that leave
        each block, b (1 + n t) d, class token first and time fastest
        (space-only: (b t) (1 + n) d).
    attentions: for each block, the weights of each step by name,
        groups heads m m.
    """

    logits: Float[Array, "b labels"]
    loss: np.floating | None = None
    hidden_states: tuple[Float[Array, "b2 s d"], ...] | None = None
    attentions: (
        tuple[dict[str, Float[Array, "g a m m"]], ...] | None
    ) = None


def forward(
    video: Float[Array, "b t c H W"],
    weights: Weights,
    config: TimeSformerConfig,
    labels: Integer[Array, " b"] | None = None,
    *,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
) -> Output:
    """Classify a batch of normalised clips.

    (Paper, section 3; original `VisionTransformer`.)
    Computes in the type of its arguments, float32 or float64. The clip
    may have another number of frames or another frame size than the
    weights were trained for.
    Raises ValueError for a clip or labels that the model cannot take,
    and for weights that do not fit the config.
    """
    if not np.issubdtype(video.dtype, np.floating):
        raise ValueError(
            f"the video holds {video.dtype}, "
            "expected normalised floating point"
        )
    check_weights(weights, config)
    grid = config.clip_grid(video.shape)
    if labels is not None:
        config.check_labels(labels, video.shape[0])
    frames = patchify(video, weights, config)
    tokens = time_embedding(frames, weights, config)
    hidden_states, attentions = [tokens], []
    for i in range(config.num_hidden_layers):
        w = part(weights, f"blocks.{i}")
        tokens, attention = block(tokens, w, config, grid)
        if output_hidden_states:
            hidden_states.append(tokens)
        if output_attentions:
            attentions.append(attention)
    logits = classifier(tokens, weights, config, grid[0])
    return Output(
        logits,
        None if labels is None else cross_entropy(logits, labels),
        tuple(hidden_states) if output_hidden_states else None,
        tuple(attentions) if output_attentions else None,
    )


def encode(
    video: Float[Array, "b t c H W"],
    weights: Weights,
    config: TimeSformerConfig,
) -> Float[Array, "b s d"]:
    """All tokens after the last norm: the model without classifier.

    (`last_hidden_state` in `transformers`.) Class token first, then
    patches, time fastest; space-only: 1 + n means over the frames.
    """
    out = forward(video, weights, config, output_hidden_states=True)
    last = (out.hidden_states or ())[-1]
    return final_norm(last, weights, config, video.shape[1])
