"""What four heads look at: a place of the example video, in all frames of a clip."""

from __future__ import annotations

from itertools import islice

import numpy as np
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from docs.making.figures.film import (
    EXAMPLE,
    Picture,
    canvas,
    cell,
    example_frames,
    paste,
    write,
)
from docs.making.figures.palette import ATTENDED
from timesformer_ref import choose_preprocessing, load_checkpoint
from timesformer_ref.input.video import read_windows
from timesformer_ref.numpy_blocks.model import forward

WINDOW, BLOCK, PLACE = 1, 0, 4
"""The second of the video from 1.1 s on, in which the camera pans; the middle of 3 x 3 patches."""

HEAT = LinearSegmentedColormap.from_list("heat", [f"{ATTENDED}00", ATTENDED, "#c2410c"])


def draw_heads() -> Figure:
    """For each head who attends (a row) to whom (a column), in temporal attention."""
    checkpoint = load_checkpoint("camera-motion")
    windows = read_windows(EXAMPLE, choose_preprocessing(checkpoint))
    clip = next(islice(windows, WINDOW, None)).clip
    output = forward(clip.video, checkpoint.arrays(), checkpoint.config, output_attentions=True)
    heads = output.attentions[BLOCK]["temporal"][PLACE]
    side = checkpoint.config.grid[1]
    frames = example_frames(clip.frames[0], shrink=4)
    patches = rearrange(frames, "t (h p) (w q) c -> (h w) t p q c", h=side, w=side)[PLACE]

    figure, axis = canvas(19.4, 21.4)
    for head, attention in enumerate(heads):
        draw_head(axis, 10.2 * (head % 2) + 0.1, 10.9 * (head // 2), head, attention, patches)
    return figure


def draw_head(
    axis: Axes, x: float, y: float, head: int, attention: np.ndarray, patches: list[Picture]
) -> None:
    """A head's matrix, with the patches that attend at its left, what they attend to above."""
    write(axis, x + 5.1, y + 0.6, f"head {head}", weight="bold")
    for number, patch in enumerate(patches):
        paste(axis, patch, x, y + 2.3 + number, 0.9)
        paste(axis, patch, x + 1.1 + number, y + 1.2, 0.9)
    for (row, column), weight in np.ndenumerate(attention):
        cell(axis, x + 1.1 + column, y + 2.3 + row, 0.9, HEAT(float(weight)))
