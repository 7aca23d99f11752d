"""The class token to one number a class."""

from __future__ import annotations

from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from timesformer_ref.config import TimeSformerConfig


def final_norm(
    tokens: Float[Tensor, "b2 s d"], norm: nn.LayerNorm, config: TimeSformerConfig, frames: int
) -> Float[Tensor, "b s d"]:
    """The last LayerNorm (paper, eq. 10; original `forward_features`).

    Where each frame was a clip of its own, the frames are averaged first.
    """
    if config.separate_frames:
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
    return norm(tokens)


def classifier(
    tokens: Float[Tensor, "b2 s d"],
    norm: nn.LayerNorm,
    head: nn.Linear,
    config: TimeSformerConfig,
    frames: int,
) -> Float[Tensor, "b labels"]:
    """Logits: one linear layer on the normed class token (an MLP in the paper, after eq. 10)."""
    return head(final_norm(tokens, norm, config, frames)[:, 0])


def cross_entropy(
    logits: Float[Tensor, "b labels"], labels: Int[Tensor, " b"]
) -> Float[Tensor, ""]:
    """The mean of -log softmax(logits)[label] over the batch: the training loss."""
    return F.cross_entropy(logits, labels)
