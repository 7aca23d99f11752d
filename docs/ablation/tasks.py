"""Clips of a moving shape, and two tasks on them: which shape it is, and which way it moves."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import TensorDataset

Task = Literal["motion", "appearance"]

CLASSES: dict[Task, tuple[str, ...]] = {
    "motion": ("left", "right", "up", "down"),
    "appearance": ("disc", "square", "triangle", "cross"),
}
"""The labels of each task; opposite directions stand side by side."""
STEPS = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
"""For each direction, x to the right and y down."""
SPEEDS, RADII, BRIGHTNESS = (1.5, 3.5), (2.5, 4.5), (1.0, 3.0)
"""The least and the most: pixels per frame, pixels, and brightness, where the ground has 0."""
NOISE = 0.1
"""Standard deviation of what is added to each pixel."""


class Clips(NamedTuple):
    """Clips with the labels of both tasks."""

    video: Float32[Tensor, "n t 1 H W"]
    labels: dict[Task, Int64[Tensor, " n"]]

    def source(self, task: Task, views: bool = False) -> TensorDataset:
        """A task's clips and labels. views: each clip as one view, for evaluation."""
        return TensorDataset(self.video[:, None] if views else self.video, self.labels[task])


def make_clips(seed: int, count: int, frames: int, side: int) -> Clips:
    """Draw clips of one shape that moves straight on over dark ground.

    Halfway through a clip its centre lies anywhere in the inner half of the frame's width and
    height, so a single frame shows nothing of the direction.
    """
    rng = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=rng)

    labels: dict[Task, Tensor] = {
        task: torch.randint(len(names), (count,), generator=rng) for task, names in CLASSES.items()
    }
    velocity = STEPS[labels["motion"]] * uniform(*SPEEDS, 1)
    moment = rearrange(torch.arange(frames) - (frames - 1) / 2, "t -> t 1")
    path = uniform(side / 4, side * 3 / 4, 1, 2) + moment * velocity[:, None]
    axis = torch.arange(side) + 0.5
    x, y = axis - path[..., :1], axis - path[..., 1:]
    inside = uniform(*RADII, 1, 1, 1) - radius(
        labels["appearance"], rearrange(x, "n t W -> n t 1 W"), rearrange(y, "n t H -> n t H 1")
    )
    brightness = uniform(*BRIGHTNESS, 1, 1, 1) * (inside + 0.5).clamp(0, 1)
    video = brightness + NOISE * torch.randn(brightness.shape, generator=rng)
    return Clips(rearrange(video, "n t H W -> n t 1 H W"), labels)


def radius(
    shape: Int64[Tensor, " n"], x: Float32[Tensor, "n t 1 W"], y: Float32[Tensor, "n t H 1"]
) -> Float32[Tensor, "n t H W"]:
    """How large each clip's shape must be to reach a pixel, from the shape's centre.

    The factors give all shapes about the same area.
    """
    wide, high = x.abs(), y.abs()
    outlines = [
        torch.hypot(x, y),
        1.1 * torch.maximum(wide, high),
        torch.maximum(1.4 * wide + 0.7 * y, -1.4 * y),
        torch.maximum(2.8 * torch.minimum(wide, high), 0.85 * torch.maximum(wide, high)),
    ]
    return torch.stack(outlines)[shape, torch.arange(len(shape))]
