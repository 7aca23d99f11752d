"""The figure of the five schemes: for one patch, what it attends to in each step."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from einops import rearrange
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from docs.making.figures.palette import ATTENDED, ATTENDING, CLASS_TOKEN, PATCH
from docs.making.names import NAMES
from timesformer_ref.schemes import SCHEMES, STEPS, Step

FRAMES, SIDE, GAP = 4, 4, 0.8
QUERY = (1, 1, 2)
COLOURS = {
    "query": ATTENDING,
    "group": ATTENDED,
    "class token": CLASS_TOKEN,
    "other": f"{PATCH}4d",
    "text": "#7c858f",
}
STYLE = {"svg.hashsalt": "timesformer_ref", "svg.fonttype": "path", "font.size": 17}


def group_of(step: Step, query: tuple[int, int, int]) -> np.ndarray:
    """Which patches of a small clip share a group with one: t h w, true or false."""
    grid = FRAMES, SIDE, SIDE
    cube = np.arange(FRAMES * SIDE * SIDE).reshape(grid)
    sequence = rearrange(cube, "t h w -> 1 (h w t) 1")
    groups = rearrange(sequence, step.group, **step.lengths(1, grid))[..., 0]
    mine = groups[(groups == cube[query]).any(axis=1)]
    return np.isin(cube, mine)


def draw_schemes(path: Path) -> None:
    """The five schemes: for one patch, what it attends to in each step.

    It must be legible on a light and on a dark page: it also stands where no style sheet reaches.
    """
    columns = max(map(len, SCHEMES.values()))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(len(SCHEMES), columns, figsize=(6.4, 5.7))
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.04, hspace=0)
        for row, (scheme, steps) in zip(axes, SCHEMES.items(), strict=True):
            for axis in row:
                axis.set_axis_off()
            row[0].text(0, SIDE + 1, NAMES[scheme], color=COLOURS["text"], weight="bold")
            for axis, step in zip(row, steps, strict=False):
                draw_step(axis, step, last=step == steps[-1])
        draw_key(axes[0, -1])
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def draw_step(axis: Axes, step: str, last: bool) -> None:
    """Four frames, the patch that attends, and what it attends to; beside, the class token."""
    seen = group_of(STEPS[step], QUERY)
    for t, y, x in np.ndindex(seen.shape):
        kind = "query" if (t, y, x) == QUERY else "group" if seen[t, y, x] else "other"
        draw_patch(axis, t * (SIDE + GAP) + x, SIDE - 1 - y, kind)
    frame(axis)
    axis.text(0, -2.2, step, color=COLOURS["text"])
    draw_class_token(axis, FRAMES * (SIDE + GAP), SIDE / 2, "class token" if last else "other")


def draw_key(axis: Axes) -> None:
    """What the colours and shapes stand for."""
    frame(axis)
    for y, (kind, words) in zip(
        (4.4, 2.2), (("query", "attends"), ("group", "is attended to")), strict=True
    ):
        draw_patch(axis, 0, y, kind)
        axis.text(1.8, y, words, color=COLOURS["text"])
    draw_class_token(axis, 0.45, 0.4, "class token")
    axis.text(1.8, 0, "class token", color=COLOURS["text"])


def draw_patch(axis: Axes, x: float, y: float, kind: str) -> None:
    """A square in the colour of its kind."""
    axis.add_patch(Rectangle((x, y), 0.9, 0.9, color=COLOURS[kind], linewidth=0))


def draw_class_token(axis: Axes, x: float, y: float, kind: str) -> None:
    """A disc in the colour of its kind."""
    axis.add_patch(Circle((x, y), 0.6, color=COLOURS[kind], linewidth=0))


def frame(axis: Axes) -> None:
    """The same part of the plane for every panel."""
    axis.set_xlim(-0.3, FRAMES * (SIDE + GAP) + 1)
    axis.set_ylim(-2.8, SIDE + 2.8)
    axis.set_aspect("equal", anchor="NW")
