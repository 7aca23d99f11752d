"""Frames to tokens: cut into patches, project, add the class token and positions."""

from __future__ import annotations

from math import isqrt

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.torch_blocks.layers import nearest


class PatchEmbed(nn.Module):
    """Project each patch's pixels to a token (paper, eq. 1; original `PatchEmbed`).

    Pixels beyond the last whole patch are dropped.
    """

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        self.patch_size = p = config.patch_size
        self.proj = nn.Conv2d(config.num_channels, config.hidden_size, kernel_size=p, stride=p)

    def forward(self, video: Float[Tensor, "b t c H W"]) -> Float[Tensor, "b t n d"]:
        """Every frame's patches, row by row."""
        patches = self.proj(rearrange(video, "b t c H W -> (b t) c H W"))
        return rearrange(patches, "(b t) d h w -> b t (h w) d", b=video.shape[0])


def positions(places: int, h: int, w: int, device: torch.device) -> Int[Tensor, " 1+{h}*{w}"]:
    """Which of a table's places the class token and an h x w grid of patches take.

    A table for another number of patches is resized, nearest in both directions, as the square grid
    it was trained as. Only the count is compared: 2 x 8 patches use a 4 x 4 table as it is, in the
    order of its entries (original `forward_features`).
    """
    patches = places - 1
    if patches == h * w:
        return torch.arange(places, device=device)
    side = isqrt(patches)
    grid = 1 + side * nearest(side, h, device)[:, None] + nearest(side, w, device)
    return torch.cat([grid.new_zeros(1), rearrange(grid, "h w -> (h w)")])


def patchify(
    video: Float[Tensor, "b t c H W"],
    patch_embed: PatchEmbed,
    cls_token: Float[Tensor, "1 1 d"],
    pos_embed: Float[Tensor, "1 places d"],
) -> Float[Tensor, "b t s d"]:
    """Every frame as a sequence: class token, patches row by row, each with its position added.

    (Paper, eq. 1; original `forward_features`.)
    """
    patches = patch_embed(video)
    b, t = patches.shape[:2]
    class_tokens = repeat(cls_token, "1 1 d -> b t 1 d", b=b, t=t)
    tokens = torch.cat([class_tokens, patches], dim=2)
    h, w = (size // patch_embed.patch_size for size in video.shape[-2:])
    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w, video.device)]
