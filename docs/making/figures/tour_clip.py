"""Which frames of a video are a clip, and which squares of a frame its views."""

from __future__ import annotations

from math import ceil

import numpy as np
from einops import rearrange
from matplotlib.figure import Figure

from docs.making.figures.film import (
    EXAMPLE,
    GREY,
    canvas,
    example_frames,
    outline,
    paste,
    write,
)
from docs.making.figures.palette import FIRST, FRAME, SECOND
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices
from timesformer_ref.input.survey import survey
from timesformer_ref.input.views import crops

COLUMNS = 8
WIDE_ROWS = slice(52, 187)  # of the square frames: 240 x 135, as a film's


def draw_film() -> Figure:
    """The example video, a frame every half second or so; those of its clip stand out."""
    total, fps = len(survey(EXAMPLE).times), survey(EXAMPLE).fps
    chosen = frame_indices(total, fps, num_frames=8, sampling_rate=32)
    halves = np.interp(np.arange(0, len(chosen) - 0.5, 0.5), np.arange(len(chosen)), chosen)
    later = np.arange(chosen[-1], total, round(float(halves[1])))[1:]
    numbers = np.append(halves, later).astype(int)
    figure, axis = canvas(COLUMNS, 1.4 * ceil(len(numbers) / COLUMNS))
    for place, (number, picture) in enumerate(
        zip(numbers, example_frames(numbers, shrink=5), strict=True)
    ):
        x, y = place % COLUMNS + 0.04, place // COLUMNS * 1.4 + 0.04
        seen = number in chosen
        paste(axis, picture, x, y, 0.92, alpha=1 if seen else 0.35)
        if seen:
            outline(axis, x, y, 0.92, 0.92, FRAME)
        write(axis, x + 0.46, y + 1.14, str(number), weight="bold" if seen else "normal")
    return figure


def draw_views() -> Figure:
    """A wide frame, and below it the three views that the package makes of it."""
    frames = (255 * example_frames([437])[:, WIDE_ROWS]).astype(np.uint8)
    told = Preprocessing(crop=frames.shape[1])
    views = crops(frames, told.scale(told.num_crops), told.crop)
    height, width = frames.shape[1:3]
    figure, axis = canvas(3.3, 3.05)
    paste(axis, frames[0], 0.2, 0.05, 2.9)
    unit = 2.9 / width
    for number, (name, colour) in enumerate((("left", FIRST), ("centre", SECOND), ("right", GREY))):
        corner = ceil(number * (width - height) / 2)
        outline(axis, 0.2 + corner * unit, 0.05, height * unit, height * unit, colour)
        pixels = rearrange(views[number, 0], "c h w -> h w c") * told.std + told.mean
        paste(axis, pixels.clip(0, 1), 0.05 + 1.1 * number, 1.8, 1)
        outline(axis, 0.05 + 1.1 * number, 1.8, 1, 1, colour)
        write(axis, 0.55 + 1.1 * number, 2.93, name)
    return figure
