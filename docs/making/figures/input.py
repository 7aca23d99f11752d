"""How clips cover a video, and crops a frame."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from docs.making.figures.palette import FIRST, FRAME, SECOND
from timesformer_ref.input.sampling import frame_indices, segment_indices, windows
from timesformer_ref.input.views import _corners, _resized

DARK, PALE = "#1f2328", "#94a3b855"
TOTAL, FPS = 450, 25
"""A video of 18 seconds."""
KINETICS = {"num_frames": 8, "sampling_rate": 32}


def draw_clips() -> Figure:
    """Along one video: the frames of one clip, of three, of segments and of windows."""
    rows = {
        "1 clip of 8 × 32": [frame_indices(TOTAL, FPS, **KINETICS)],
        "3 clips of 8 × 32": [
            frame_indices(TOTAL, FPS, **KINETICS, clip=clip, num_clips=3) for clip in range(3)
        ],
        "8 segments": [segment_indices(TOTAL, 8)],
        "timeline": list(windows(TOTAL, FPS, **KINETICS).indices),
    }
    heights = [1.2 + len(clips) for clips in rows.values()]
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(6.4, 5.6), height_ratios=heights, layout="constrained"
    )
    for axis, (name, clips) in zip(axes, rows.items(), strict=True):
        draw_row(axis, name, clips)
    axes[-1].set_xticks([0, 5, 10, 15], ["0 s", "5 s", "10 s", "15 s"], size=15, color=DARK)
    return figure


def draw_row(axis: Axes, name: str, clips: list[np.ndarray]) -> None:
    """The clips of a way to sample one below the other, a mark for each frame."""
    axis.set_title(name, loc="left", size=16, color=DARK)
    axis.set(xlim=(-0.3, TOTAL / FPS + 0.3), ylim=(len(clips) - 0.4, -0.6), yticks=[], xticks=[])
    axis.spines[:].set_visible(False)
    for row, frames in enumerate(clips):
        axis.plot([0, TOTAL / FPS], [row, row], color=PALE, linewidth=10, solid_capstyle="butt")
        axis.plot(frames / FPS, [row] * len(frames), "|", color=FRAME, markersize=18, mew=3.5)


def draw_crops() -> Figure:
    """What three crops and one take of a wide and of an upright frame."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.4), layout="constrained")
    for column, (height, width) in enumerate(((360, 640), (640, 360))):
        for axis, count, scale in zip(axes[:, column], (3, 1), (224, 256), strict=True):
            draw_frame(axis, *_resized(height, width, scale), count)
    return figure


def draw_frame(axis: Axes, height: int, width: int, count: int) -> None:
    """A resized frame with its crops."""
    axis.set(xlim=(-10, 465), ylim=(465, -10), aspect="equal")
    axis.set_axis_off()
    words = f"{width} × {height}, {count} crop{'s' * (count > 1)}"
    axis.set_title(words, loc="left", size=16, color=DARK)
    axis.add_patch(Rectangle((0, 0), width, height, color=PALE, linewidth=0))
    for (y, x), colour in zip(
        _corners(height, width, 224, count), (FIRST, SECOND, DARK), strict=False
    ):
        axis.add_patch(Rectangle((x, y), 224, 224, fill=False, edgecolor=colour, linewidth=3))
