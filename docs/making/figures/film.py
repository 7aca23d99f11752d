"""Frames of the example video, for figures that hold photographs.

Such a figure is shown as it is on a dark page, so its text is of a grey that suits light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from einops import reduce
from jaxtyping import Float, UInt8
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from timesformer_ref.input.video import read_frames

EXAMPLE = Path(__file__).parents[2] / "assets" / "example.mp4"
GREY = "#7c858f"

Picture = Float[np.ndarray, "H W c"]


def example_frames(numbers: Sequence[int], shrink: int = 1) -> Float[np.ndarray, "t H W c"]:
    """Some frames of the video, by their numbers and with values from 0 to 1, made smaller."""
    frames: UInt8[np.ndarray, "t H W c"] = np.stack(
        read_frames(EXAMPLE, lambda total, fps: np.asarray(numbers))
    )
    return reduce(frames / 255, "t (h p) (w q) c -> t h w c", "mean", p=shrink, q=shrink)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty plane whose y grows downwards, as wide as a page's column."""
    figure = plt.figure(figsize=(6.4, 6.4 * height / width))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axis.set_axis_off()
    return figure, axis


def paste(axis: Axes, picture: Picture, x: float, y: float, width: float, alpha: float = 1) -> None:
    """A picture with its top left corner at (x, y)."""
    height = width * picture.shape[0] / picture.shape[1]
    place = (x, x + width, y + height, y)
    axis.add_image(image := AxesImage(axis, extent=place, interpolation="none", alpha=alpha))
    image.set_data(picture)
    image.set_clip_path(axis.patch)


def cell(axis: Axes, x: float, y: float, side: float, colour: object) -> None:
    """A square with its top left corner at (x, y)."""
    axis.add_patch(Rectangle((x, y), side, side, color=colour, linewidth=0))


def outline(axis: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """A frame around a picture."""
    axis.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=3))


def write(axis: Axes, x: float, y: float, words: str, **style: object) -> None:
    """Words around a point."""
    axis.text(x, y, words, **{"ha": "center", "va": "center", "size": 15, "color": GREY} | style)
