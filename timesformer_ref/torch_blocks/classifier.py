"""The class token to one number a class."""

from __future__ import annotations

from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


def final_norm(
    tokens: Float[Tensor, "b2 s d"], norm: nn.LayerNorm, frames: int, separate_frames: bool
) -> Float[Tensor, "b s d"]:
    """The last LayerNorm; where each frame was a clip of its own, the frames are averaged first."""
    if separate_frames:
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
    return norm(tokens)


def classifier(normed: Float[Tensor, "b s d"], head: nn.Linear) -> Float[Tensor, "b labels"]:
    """Logits from the normed class token (paper, eq. 10, but a single linear layer)."""
    return head(normed[:, 0])


def cross_entropy(
    logits: Float[Tensor, "b labels"], labels: Int[Tensor, " b"]
) -> Float[Tensor, ""]:
    """The mean of -log softmax(logits)[label] over the batch: the training loss."""
    return F.cross_entropy(logits, labels)
