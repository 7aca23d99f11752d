"""Frames to tokens: patches, the class token, and positions."""

from math import isqrt

import numpy as np
from einops import rearrange, repeat
from jaxtyping import Float, Int

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import (
    Array,
    Weights,
    linear,
    nearest,
)
from timesformer_ref.weights import part


def patch_pixels(
    video: Float[Array, "b t c H W"], config: TimeSformerConfig
) -> Float[Array, "b t n pixels"]:
    """The pixels of each patch, the patches row by row.

    Pixels beyond the last whole patch are dropped.
    """
    p = config.patch_size
    h, w = (size // p for size in video.shape[-2:])
    whole = video[..., : h * p, : w * p]
    pattern = "b t c (h p) (w q) -> b t (h w) (c p q)"
    return rearrange(whole, pattern, p=p, q=p)


def patch_embed(
    video: Float[Array, "b t c H W"],
    weights: Weights,
    config: TimeSformerConfig,
) -> Float[Array, "b t n d"]:
    """Project each patch's pixels to a token.

    (Paper, eq. 1; original `PatchEmbed`.) A convolution whose stride is
    its kernel is one linear layer on every patch.
    """
    proj = part(weights, "patch_embed.proj")
    weight = rearrange(proj["weight"], "d c p q -> d (c p q)")
    layer = {"weight": weight, "bias": proj["bias"]}
    return linear(patch_pixels(video, config), layer)


def positions(places: int, h: int, w: int) -> Int[Array, " 1+{h}*{w}"]:
    """Which places of a table the class token and h x w patches take.

    A table for another number of patches is resized, nearest in both
    directions, as the square grid it was trained as. Only the count is
    compared: 2 x 8 patches use a 4 x 4 table as it is, in the order of
    its entries (original `forward_features`).
    """
    patches = places - 1
    if patches == h * w:
        return np.arange(places)
    side = isqrt(patches)
    grid = 1 + side * nearest(side, h)[:, None] + nearest(side, w)
    return np.concatenate([[0], rearrange(grid, "h w -> (h w)")])


def patchify(
    video: Float[Array, "b t c H W"],
    weights: Weights,
    config: TimeSformerConfig,
) -> Float[Array, "b t s d"]:
    """Every frame as a sequence: class token, then patches row by row.

    Each has its position added (paper, eq. 1; original
    `forward_features`).
    """
    patches = patch_embed(video, weights, config)
    b, t = patches.shape[:2]
    cls_token, pos_embed = weights["cls_token"], weights["pos_embed"]
    class_tokens = repeat(cls_token, "1 1 d -> b t 1 d", b=b, t=t)
    tokens = np.concatenate([class_tokens, patches], axis=2)
    h, w = (size // config.patch_size for size in video.shape[-2:])
    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]
