"""A frame cut into patches, and the row of tokens that becomes of them."""

from __future__ import annotations

import numpy as np
from einops import rearrange
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from docs.making.figures.film import BLUE, ORANGE, Picture, canvas, example_frames, paste, write
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.initialise import initial_weights
from timesformer_ref.numpy_blocks.patchify import patchify
from timesformer_ref.views import crops

CONFIG = TimeSformerConfig(num_hidden_layers=1)
SIGNS = LinearSegmentedColormap.from_list("signs", [BLUE, f"{BLUE}00", f"{ORANGE}00", ORANGE])
NUMBERS = 12
"""Of a token, that are drawn."""


def draw_patches() -> Figure:
    """The frame in pieces; the first and the last of them in a row; below each its token."""
    p, (_, h, w) = CONFIG.patch_size, CONFIG.grid
    view = crops(
        (255 * example_frames([30])).astype(np.uint8), CONFIG.image_size, CONFIG.image_size
    )[:1, :1]
    pixels = (rearrange(view[0, 0], "c H W -> H W c") * 0.225 + 0.45).clip(0, 1)
    patches = rearrange(pixels, "(h p) (w q) c -> (h w) p q c", p=p, q=p)
    tokens = patchify(view, initial_weights(CONFIG, seed=0), CONFIG)[0, 0]

    figure, axis = canvas(10, 15.3)
    side = 9 / w
    for number, patch in enumerate(patches):
        y, x = divmod(number, w)
        paste(axis, patch, 0.5 + x * side, 0.1 + y * side, 0.88 * side)
    axis.add_patch(Circle((0.55, 10.6), 0.34, color=BLUE, linewidth=0))
    shown = [0, 1, 2, 3, 4, h * w - 2, h * w - 1]
    columns = [1, 2, 3, 4, 5, 8, 9]
    draw_token(axis, 0, 0, tokens[0])
    for column, number in zip(columns, shown, strict=True):
        paste(axis, patches[number], column + 0.15, 10.2, 0.8)
        draw_token(axis, column, 1 + number, tokens[1 + number])
    for y in (10.6, 12.8):
        write(axis, 7, y, "…", size=24)
    return figure


def draw_token(axis: Axes, column: int, number: int, token: np.ndarray) -> None:
    """A token's first numbers, orange above zero and blue below, and which token it is."""
    limit = 3 * token.std()
    colours: Picture = SIGNS((token[:NUMBERS, None] / limit + 1) / 2)
    paste(axis, colours, column + 0.4, 11.4, 0.25)
    write(axis, column + 0.55, 14.9, str(number))
