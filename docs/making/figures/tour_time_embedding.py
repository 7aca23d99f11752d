"""The order of the tokens: a clip frame by frame, and the sequence that becomes of it."""

from __future__ import annotations

import numpy as np
from einops import rearrange
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from docs.making.figures.palette import CLASS_TOKEN
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.time_embedding import time_embedding

GRID = T, H, W = 3, 2, 2
PLACES = ("#be185d", "#4d7c0f", "#854d0e", "#0e7490")
SHADES = (0.2, 0.4, 0.65)
CLASS = -1


def draw_token_order() -> Figure:
    """Frames of four patches, each with its number in the sequence; below, the sequence."""
    patches = rearrange(np.arange(T * H * W, dtype=float), "(t n) -> 1 t n 1", t=T)
    frames = np.concatenate([np.full((1, T, 1, 1), float(CLASS)), patches], axis=2)
    weights = {"time_embed": np.zeros((1, T, 1))}
    config = TimeSformerConfig(hidden_size=1, num_attention_heads=1, num_frames=T)
    sequence = time_embedding(frames, weights, config)[0, :, 0].astype(int)

    figure = plt.figure(figsize=(6.4, 3.25))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(-0.1, 13.1), ylim=(6.7, 0), aspect="equal")
    axis.set_axis_off()
    for token, patch in enumerate(sequence):
        if patch == CLASS:
            axis.add_patch(Circle((0.5, 5.5), 0.43, color=CLASS_TOKEN, linewidth=0))
            write(axis, 0.5, 5.5, str(token), color="white")
            continue
        t, y, x = (int(place) for place in np.unravel_index(patch, GRID))
        draw_patch(axis, token, 5.5, 0.9, token, (t, y, x))
        draw_patch(axis, 4.6 * t + 0.6 + 1.4 * x, 1.7 + 1.4 * y, 1.3, token, (t, y, x))
    for t in range(T):
        write(axis, 4.6 * t + 1.8, 0.5, f"frame {t}")
    write(axis, 0.5, 6.35, "class")
    return figure


def draw_patch(
    axis: Axes, x: float, y: float, side: float, token: int, place: tuple[int, int, int]
) -> None:
    """A square around (x + 1/2, y): its hue shows the place in the frame, its depth the frame."""
    t, row, column = place
    colour = to_rgba(PLACES[row * W + column], SHADES[t])
    corner = (x + 0.5 - side / 2, y - side / 2)
    axis.add_patch(Rectangle(corner, side, side, color=colour, linewidth=0))
    write(axis, x + 0.5, y, str(token))


def write(axis: Axes, x: float, y: float, words: str, **style: object) -> None:
    """Words around a point."""
    axis.text(x, y, words, **{"ha": "center", "va": "center", "size": 15} | style)
