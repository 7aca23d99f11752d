"""A frame cut into patches, and the row of tokens that becomes of them."""

from __future__ import annotations

import numpy as np
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from docs.making.figures.film import (
    Picture,
    canvas,
    cell,
    example_frames,
    paste,
    write,
)
from docs.making.figures.palette import CLASS_TOKEN, FIRST, SECOND
from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.views import crops
from timesformer_ref.numpy_blocks.patchify import patchify

CONFIG = TimeSformerConfig(num_hidden_layers=1)
FRAME = 151
NUMBERS = 12
"""Of a token, that are drawn."""

SIGNS = LinearSegmentedColormap.from_list(
    "signs", [(0, SECOND), (0.5, f"{SECOND}00"), (0.5, f"{FIRST}00"), (1, FIRST)]
)


def draw_patches() -> Figure:
    """The frame in pieces; the first and the last of them in a row; below each its token."""
    p, (_, h, w) = CONFIG.patch_size, CONFIG.grid
    frame = (255 * example_frames([FRAME])).astype(np.uint8)
    told = Preprocessing()
    view = crops(frame, told.scale(3), told.crop)[:1]
    pixels = rearrange(view[0, 0], "c (h p) (w q) -> (h w) p q c", p=p, q=p)
    patches = (pixels * told.std + told.mean).clip(0, 1)
    tokens = patchify(view, initial_weights(CONFIG, seed=0), CONFIG)[0, 0]

    figure, axis = canvas(10, 15)
    paste(axis, in_pieces(patches, h), 0.5, 0.1, 9)
    axis.add_patch(Circle((0.5, 10), 0.36, color=CLASS_TOKEN, linewidth=0))
    draw_token(axis, 0, 0, tokens[0])
    shown = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 8: h * w - 2, 9: h * w - 1}
    for column, number in shown.items():
        paste(axis, patches[number], column + 0.1, 9.6, 0.8)
        draw_token(axis, column, 1 + number, tokens[1 + number])
    for y in (10, 12.2):
        write(axis, 7, y, "…", size=24)
    return figure


def in_pieces(patches: np.ndarray, rows: int) -> Picture:
    """The patches of a frame where they were, with nothing between them."""
    apart = [(0, 0), (1, 1), (1, 1)]
    colours = np.pad(patches, [*apart, (0, 0)])
    solid = np.pad(np.ones(patches.shape[:3]), apart)[..., None]
    pieces = np.concatenate([colours, solid], axis=-1)
    return rearrange(pieces, "(h w) p q c -> (h p) (w q) c", h=rows)


def draw_token(axis: Axes, column: int, number: int, token: np.ndarray) -> None:
    """A token's first numbers, magenta above zero and olive below, and which token it is."""
    limit = 2 * token.std()
    for row, value in enumerate(token[:NUMBERS]):
        cell(axis, column + 0.35, 10.8 + 0.29 * row, 0.27, SIGNS((value / limit + 1) / 2))
    write(axis, column + 0.5, 14.65, str(number), size=16)
