"""Frames to tokens: patches, the class token, and positions."""

from math import isqrt
from typing import TYPE_CHECKING

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.torch_blocks.layers import nearest

if TYPE_CHECKING:
    from timesformer_ref.torch_blocks.model import TimeSformer


class PatchEmbed(nn.Module):
    """Project each patch's pixels to a token.

    (Paper, eq. 1; original `PatchEmbed`.) Pixels beyond the last whole
    patch are dropped.
    """

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        c, d, p = (
            config.num_channels,
            config.hidden_size,
            config.patch_size,
        )
        self.proj = nn.Conv2d(c, d, kernel_size=p, stride=p)

    def forward(
        self, video: Float[Tensor, "b t c H W"]
    ) -> Float[Tensor, "b t n d"]:
        """Every frame's patches, row by row."""
        frames = rearrange(video, "b t c H W -> (b t) c H W")
        pattern = "(b t) d h w -> b t (h w) d"
        return rearrange(self.proj(frames), pattern, b=video.shape[0])


def positions(places: int, h: int, w: int) -> Int[Tensor, " 1+{h}*{w}"]:
    """Which places of a table the class token and h x w patches take.

    A table for another number of patches is resized, nearest in both
    directions, as the square grid it was trained as. Only the count is
    compared: 2 x 8 patches use a 4 x 4 table as it is, in the order of
    its entries (original `forward_features`).
    """
    patches = places - 1
    if patches == h * w:
        return torch.arange(places)
    side = isqrt(patches)
    grid = 1 + side * nearest(side, h)[:, None] + nearest(side, w)
    return torch.cat(
        [grid.new_zeros(1), rearrange(grid, "h w -> (h w)")]
    )


def patchify(
    video: Float[Tensor, "b t c H W"], model: "TimeSformer"
) -> Float[Tensor, "b t s d"]:
    """Every frame as a sequence: class token, then patches row by row.

    Each has its position added (paper, eq. 1; original
    `forward_features`).
    """
    patches = model.patch_embed(video)
    b, t = patches.shape[:2]
    cls_token, pos_embed = model.cls_token, model.pos_embed
    class_tokens = repeat(cls_token, "1 1 d -> b t 1 d", b=b, t=t)
    tokens = torch.cat([class_tokens, patches], dim=2)
    h, w = (
        size // model.config.patch_size for size in video.shape[-2:]
    )
    places = positions(pos_embed.shape[1], h, w)
    return model.pos_drop(tokens + pos_embed[0, places])
