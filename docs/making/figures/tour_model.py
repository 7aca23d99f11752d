"""The data's way through the whole model, through one block and through the classifier."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from docs.making.figures.palette import CLASS_TOKEN, PATCH
from timesformer_ref.benchmark.cost import group_shape
from timesformer_ref.config import TimeSformerConfig

TEXT, LINE, PAPER = "#1f2328", "#57606a", "#f6f8fa"
STEPS_COLOUR, MLP_COLOUR = "#fde4b8", "#d7ece3"
CONFIG = TimeSformerConfig()
FRAMES, ROWS, COLUMNS = CONFIG.grid
PLACES = ROWS * COLUMNS
TOKENS = 1 + FRAMES * PLACES
SHOWN = 6  # patches drawn for the many of a frame
LEFT, CLASS_LANE, PATCH_LANE, RIGHT = 1, 8, 30, 48.5  # of the block


def draw_model() -> Figure:
    """Clip, patches, tokens, blocks, logits, and the shape of each."""
    c = CONFIG
    stages = (
        (clip_picture, "clip", f"{FRAMES} × {c.num_channels} ×\n{c.image_size} × {c.image_size}"),
        (frames_picture, "patchify", f"{FRAMES} × {1 + PLACES}\n× {c.hidden_size}"),
        (sequence_picture, "time\nembedding", f"{TOKENS}\n× {c.hidden_size}"),
        (blocks_picture, f"{c.num_hidden_layers} blocks", f"{TOKENS}\n× {c.hidden_size}"),
        (logits_picture, "classifier", f"{c.num_labels}\nlogits"),
    )
    figure, axis = canvas(79, 32)
    for number, (picture, title, shape) in enumerate(stages):
        left = 16.2 * number
        picture(axis, left, 9)
        write(axis, left + 6, 25.2, title, weight="bold", va="bottom", size=16.5)
        write(axis, left + 6, 7, shape, va="top", size=16.5)
        if number:
            arrow(axis, (left - 3.4, 16), (left - 0.7, 16))
    return figure


def clip_picture(axis: Axes, x: float, y: float) -> None:
    """Frames one behind the other; something moves from frame to frame."""
    for frame in reversed(range(FRAMES)):
        left, bottom = x + 0.6 * frame, y + 0.9 * frame
        square(axis, left, bottom, 7.8, PAPER, edge=LINE)
        axis.add_patch(Circle((left + 1.6 + 0.6 * frame, bottom + 4.5), 1.1, color=PATCH))
    for line in (1, 2, 3):
        axis.plot([x, x + 7.8], [y + 1.95 * line] * 2, color=LINE, lw=0.5)
        axis.plot([x + 1.95 * line] * 2, [y, y + 7.8], color=LINE, lw=0.5)


def frames_picture(axis: Axes, x: float, y: float) -> None:
    """A class token and patches for each frame."""
    for frame in range(FRAMES):
        token(axis, x + 1.5 * frame, y + 2 * SHOWN)
        column(axis, x + 1.5 * frame, y, PATCH)


def sequence_picture(axis: Axes, x: float, y: float) -> None:
    """One class token; patches that show their frame."""
    token(axis, x + 0.75 * (FRAMES - 1), y + 2 * SHOWN)
    for frame in range(FRAMES):
        shade = mpl.colormaps["BuGn"](0.25 + 0.55 * frame / (FRAMES - 1))
        column(axis, x + 1.5 * frame, y, shade)


def blocks_picture(axis: Axes, x: float, y: float) -> None:
    """The steps and the MLP of one block, and the blocks behind it."""
    for behind in (2, 1, 0):
        box(axis, x + 0.7 * behind, y + 0.8 * behind, 10.6, 12.4, PAPER)
    parts = (("time", STEPS_COLOUR), ("space", STEPS_COLOUR), ("MLP", MLP_COLOUR))
    for number, (name, colour) in enumerate(parts):
        bottom = y + 8.4 - 3.9 * number
        box(axis, x + 0.8, bottom, 9, 3.3, colour)
        write(axis, x + 5.3, bottom + 1.5, name)


def logits_picture(axis: Axes, x: float, y: float) -> None:
    """The class token, and a bar for each of some classes."""
    token(axis, x, y + 6.4)
    for number, length in enumerate((2.5, 4, 1.5, 8.5, 3, 2)):
        colour = TEXT if length > 8 else "#c6ccd3"
        axis.add_patch(Rectangle((x + 2.6, y + 2.2 * number), length, 1.5, color=colour, lw=0))


def draw_block() -> Figure:
    """One divided block: who takes part in each step, in how many groups, and what is added."""
    places, frames = group_shape("temporal", CONFIG.grid)
    copies, patches = group_shape("spatial", CONFIG.grid)
    d, hidden = CONFIG.hidden_size, CONFIG.intermediate_size
    figure, axis = canvas(50, 79)
    rows_of_tokens(axis, 72)
    temporal = "temporal step", f"{places} groups × {frames}", "norm · attention · fc"
    spatial = "spatial step", f"{copies} groups × (1 + {patches})", "norm · attention"
    mlp = "MLP, each token by itself", f"{d} → {hidden} → {d}", "norm · fc1 · GELU · fc2"
    labelled_box(axis, 15, 54, 30, temporal, STEPS_COLOUR)
    labelled_box(axis, 4, 31, 41, spatial, STEPS_COLOUR)
    labelled_box(axis, 4, 11, 41, mlp, MLP_COLOUR)
    axis.plot([CLASS_LANE, CLASS_LANE], [70.5, 48.5], color=LINE, lw=1.5)
    write(axis, CLASS_LANE + 0.8, 59, "takes\nno\npart", ha="left")
    write(axis, CLASS_LANE + 0.8, 44.2, f"{copies} copies", ha="left")
    write(axis, CLASS_LANE + 0.8, 28.6, f"mean of {copies}", ha="left")
    update(axis, PATCH_LANE, RIGHT, (70.5, 64.5), (54, 50.5))
    update(axis, PATCH_LANE, RIGHT, (49.6, 41.5), (31, 26.5))
    update(axis, CLASS_LANE, LEFT, (49.6, 41.5), (31, 26.5))
    for lane, side in ((PATCH_LANE, RIGHT), (CLASS_LANE, LEFT)):
        update(axis, lane, side, (25.6, 21.5), (11, 7.5))
        arrow(axis, (lane, 6.6), (lane, 4.4))
    rows_of_tokens(axis, 2, with_words=False)
    return figure


def rows_of_tokens(axis: Axes, y: float, with_words: bool = True) -> None:
    """The class token and some patches, each at the head of its lane."""
    token(axis, CLASS_LANE - 0.6, y)
    for number in range(SHOWN):
        square(axis, PATCH_LANE - 5.1 + 1.8 * number, y, 1.2, PATCH)
    if with_words:
        write(axis, CLASS_LANE - 4, y + 4.4, f"1 × {CONFIG.hidden_size}", ha="left")
        write(axis, PATCH_LANE, y + 4.4, f"{TOKENS - 1} × {CONFIG.hidden_size}")


def update(
    axis: Axes, lane: float, side: float, into: tuple[float, float], out: tuple[float, float]
) -> None:
    """Down a lane into a box and out of it to a sum; the residual passes the box at its side."""
    (start, top), (bottom, end) = into, out
    fork = start - 1.6
    arrow(axis, (lane, start), (lane, top))
    arrow(axis, (lane, bottom), (lane, end + 0.9))
    axis.plot([lane, side, side], [fork, fork, end], color=LINE, lw=1.5)
    arrow(axis, (side, end), (lane + (0.9 if side > lane else -0.9), end))
    axis.add_patch(Circle((lane, end), 0.9, facecolor=PAPER, edgecolor=LINE, linewidth=1.2))
    axis.plot([lane - 0.5, lane + 0.5], [end, end], color=TEXT, lw=1.2)
    axis.plot([lane, lane], [end - 0.5, end + 0.5], color=TEXT, lw=1.2)


def draw_classifier() -> Figure:
    """From the last tokens to logits: the clip's class token, or the mean of the frames'."""
    figure, axis = canvas(62, 31)
    for y, name, sequences in (
        (20, "one class token", 1),
        (2, "space only: one per frame", FRAMES),
    ):
        write(axis, 0, y + 5.6 + 1.7 * sequences / 2 + 1.6, name, ha="left", weight="bold")
        for number in range(sequences):
            bottom = y + 5 + 1.7 * (number - (sequences - 1) / 2)
            token(axis, 0.3, bottom)
            for patch in range(SHOWN):
                square(axis, 2.3 + 1.8 * patch, bottom, 1.2, "#c6ccd3")
        arrow(axis, (14, y + 5.6), (18, y + 5.6))
        if sequences > 1:
            write(axis, 16, y + 8, "mean")
        token(axis, 18.8, y + 5)
        arrow(axis, (21, y + 5.6), (24, y + 5.6))
        for left, words in ((24.3, "norm"), (38.3, "head")):
            box(axis, left, y + 3, 10, 5.4, MLP_COLOUR)
            write(axis, left + 5, y + 5.6, words)
        arrow(axis, (34.6, y + 5.6), (38, y + 5.6))
        arrow(axis, (48.6, y + 5.6), (52, y + 5.6))
        write(axis, 57.5, y + 5.6, f"{CONFIG.num_labels}\nlogits")
    return figure


def labelled_box(
    axis: Axes, x: float, y: float, width: float, lines: tuple[str, str, str], colour: str
) -> None:
    """A box with a bold first line."""
    box(axis, x, y, width, 10.5, colour)
    title, groups, layers = lines
    write(axis, x + width / 2, y + 8.2, title, weight="bold")
    write(axis, x + width / 2, y + 5.1, groups)
    write(axis, x + width / 2, y + 2.0, layers)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty plane, ten units an inch."""
    figure = plt.figure(figsize=(width / 10, height / 10))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(-0.5, width), ylim=(0, height), aspect="equal")
    axis.set_axis_off()
    return figure, axis


def write(axis: Axes, x: float, y: float, words: str, **style: Any) -> None:
    """Words in the figure's size and colour."""
    axis.text(x, y, words, **{"ha": "center", "va": "center", "size": 14, "color": TEXT} | style)


def square(axis: Axes, x: float, y: float, side: float, colour: object, edge: str = "none") -> None:
    """A square of any kind."""
    axis.add_patch(Rectangle((x, y), side, side, facecolor=colour, edgecolor=edge, linewidth=0.8))


def token(axis: Axes, x: float, y: float) -> None:
    """A class token."""
    axis.add_patch(Circle((x + 0.6, y + 0.6), 0.75, color=CLASS_TOKEN, linewidth=0))


def column(axis: Axes, x: float, y: float, colour: object) -> None:
    """The patches of a frame."""
    for number in range(SHOWN):
        square(axis, x, y + 1.9 * number, 1.2, colour)


def box(axis: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """A box with round corners."""
    style = "round,pad=0,rounding_size=0.8"
    axis.add_patch(FancyBboxPatch((x, y), width, height, style, fc=colour, ec=LINE, lw=0.8))


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow from one point to another."""
    style = {"arrowstyle": "-|>", "color": LINE, "lw": 1.5, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style)
