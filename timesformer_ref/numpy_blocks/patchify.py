"""Frames to tokens: cut every frame in patches, project them, add the class token and positions."""

from __future__ import annotations

import numpy as np
from einops import rearrange, repeat
from jaxtyping import Float

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import Array, Weights, linear, nearest
from timesformer_ref.weights import part


def patch_embed(
    video: Float[Array, "b t c H W"], weights: Weights, config: TimeSformerConfig
) -> Float[Array, "b t n d"]:
    """Project each patch's pixels to a token (paper, eq. 1; original `PatchEmbed`).

    A convolution whose stride is its kernel is one linear layer on every patch. Pixels beyond the
    last whole patch are dropped.
    """
    proj = part(weights, "patch_embed.proj")
    p = config.patch_size
    _, h, w = config.clip_grid(video.shape)
    pixels = rearrange(
        video[..., : h * p, : w * p], "b t c (h p) (w q) -> b t (h w) (c p q)", p=p, q=p
    )
    weight = rearrange(proj["weight"], "d c p q -> d (c p q)")
    return linear(pixels, {"weight": weight, "bias": proj["bias"]})


def positions(pos_embed: Float[Array, "1 m d"], h: int, w: int) -> Float[Array, "1+{h}*{w} d"]:
    """The positions of the class token and of an h x w grid of patches.

    A table for another number of patches is resized, nearest in both directions, as the square grid
    it was trained as. Only the count is compared: 2 x 8 patches use a 4 x 4 table as it is, in the
    order of its entries (original `forward_features`).
    """
    class_position, table = pos_embed[0, :1], pos_embed[0, 1:]
    if len(table) != h * w:
        side = int(len(table) ** 0.5)
        square = rearrange(table, "(h w) d -> h w d", h=side)
        resized = square[nearest(side, h)][:, nearest(side, w)]
        table = rearrange(resized, "h w d -> (h w) d")
    return np.concatenate([class_position, table])


def patchify(
    video: Float[Array, "b t c H W"], weights: Weights, config: TimeSformerConfig
) -> Float[Array, "b t s d"]:
    """Every frame as a sequence: the class token, then its patches row by row, positions added."""
    patches = patch_embed(video, weights, config)
    b, t = patches.shape[:2]
    class_tokens = repeat(weights["cls_token"], "1 1 d -> b t 1 d", b=b, t=t)
    tokens = np.concatenate([class_tokens, patches], axis=2)
    return tokens + positions(weights["pos_embed"], *config.clip_grid(video.shape)[1:])
