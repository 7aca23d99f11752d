"""The class token to one number per class."""

from typing import TYPE_CHECKING

import torch
from einops import reduce
from jaxtyping import Float, Integer
from torch import Tensor

if TYPE_CHECKING:
    from timesformer_ref.torch_blocks.model import TimeSformer


def final_norm(
    tokens: Float[Tensor, "b2 s d"], model: "TimeSformer", frames: int
) -> Float[Tensor, "b s d"]:
    """The last LayerNorm (paper, eq. 10; original `forward_features`).

    Where each frame was a clip of its own, the frames are averaged
    first.
    """
    if model.config.separate_frames:
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
    return model.norm(tokens)


def classifier(
    tokens: Float[Tensor, "b2 s d"], model: "TimeSformer", frames: int
) -> Float[Tensor, "b labels"]:
    """Logits: one linear layer on the normed class token.

    (An MLP in the paper, after eq. 10.)
    """
    normed = final_norm(tokens, model, frames)
    return model.head(normed[:, 0])


def cross_entropy(
    logits: Float[Tensor, "b labels"], labels: Integer[Tensor, " b"]
) -> Float[Tensor, ""]:
    """The mean of -log softmax(logits)[label]: the training loss."""
    log_softmax = torch.log_softmax(logits, dim=1)
    chosen = log_softmax.gather(1, labels[:, None].long())
    return -chosen.mean()
