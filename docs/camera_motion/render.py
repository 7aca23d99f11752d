"""Render scenes to clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F

from docs.camera_motion.scenes import Scene

FINER = 2
"""Factor by which frames are rendered larger and then averaged, against aliasing."""


def render(scenes: Sequence[Scene], side: int) -> Float32[Tensor, "b t 3 side side"]:
    """The clips of scenes whose pictures have one shape: frames of `side` pixels, in [0, 1]."""
    path, objects, size, brightness, blur = (
        torch.tensor(np.stack([getattr(scene, name) for scene in scenes]), dtype=torch.float32)
        for name in ("path", "objects", "size", "brightness", "blur")
    )
    places = picture_places(path, objects, side * FINER) / rearrange(size / 2, "b xy -> b 1 1 1 xy")
    seen = F.grid_sample(
        torch.from_numpy(np.stack([scene.picture for scene in scenes])),
        rearrange(places, "b t h w xy -> b (t h) w xy"),
        padding_mode="reflection",
        align_corners=False,
    )
    images = rearrange(F.avg_pool2d(seen, FINER), "b c (t h) w -> b t c h w", h=side)
    frames = _blurred(images, blur) * rearrange(brightness, "b t -> b t 1 1 1")
    for clip, scene in zip(frames, scenes, strict=True):
        if scene.noise:
            rng = np.random.default_rng(scene.noise_seed)
            clip += scene.noise * torch.from_numpy(rng.standard_normal(clip.shape, np.float32))
    return frames.clamp_(0, 1)


def picture_places(
    path: Float32[Tensor, "b t 4"], objects: Float32[Tensor, "b n t 5"], side: int
) -> Float32[Tensor, "b t side side 2"]:
    """The place in the picture that each pixel shows: x and y in frames, from its middle.

    The screen is scaled by the camera's magnification, turned by its angle and moved to its place.
    """
    axis = (torch.arange(side) + 0.5) / side - 0.5
    screen = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    x_y, magnification, angle = path[..., :2], path[..., 2].exp(), path[..., 3]
    cos, sin = angle.cos() / magnification, angle.sin() / magnification
    right, down = torch.stack([cos, sin], dim=-1), torch.stack([-sin, cos], dim=-1)
    turned = torch.einsum("btjk,hwj->bthwk", torch.stack([right, down], dim=-2), screen)
    places = turned + rearrange(x_y, "b t xy -> b t 1 1 xy")
    for disc in objects.unbind(dim=1):
        if not disc.any():
            continue
        disc = rearrange(disc, "b t k -> b t 1 1 k")
        centre, radius, surface = disc[..., :2], disc[..., 2:3], disc[..., 3:]
        inside = (screen - centre).square().sum(dim=-1, keepdim=True) < radius.square()
        places = torch.where(inside, screen - centre + surface, places)
    return places


def _blurred(
    frames: Float32[Tensor, "b t c h w"], blur: Float32[Tensor, " b"]
) -> Float32[Tensor, "b t c h w"]:
    """Blur each clip: mix every pixel with its neighbours along both axes."""
    kernels = torch.stack([blur, 1 - 2 * blur, blur], dim=-1)
    images = F.pad(rearrange(frames, "b t c h w -> (t c) b h w"), (1, 1, 1, 1), mode="replicate")
    for pattern in ("b k -> b 1 1 k", "b k -> b 1 k 1"):
        images = F.conv2d(images, rearrange(kernels, pattern), groups=len(blur))
    return rearrange(images, "(t c) b h w -> b t c h w", c=frames.shape[2])
