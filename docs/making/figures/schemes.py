"""The figure of the five schemes: for one patch, whom it looks at in each step."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from einops import rearrange
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from docs.making.names import NAMES
from timesformer_ref.config import SCHEMES, STEPS, Step

FRAMES, SIDE = 4, 4
QUERY = (1, 1, 2)
COLOURS = {"query": "#c2410c", "group": "#f59e0b", "other": "#94a3b833", "text": "#808890"}


def group_of(step: Step, query: tuple[int, int, int]) -> np.ndarray:
    """Which patches of a small clip share a group with one: t h w, true or false."""
    grid = FRAMES, SIDE, SIDE
    cube = np.arange(FRAMES * SIDE * SIDE).reshape(grid)
    sequence = rearrange(cube, "t h w -> 1 (h w t) 1")
    groups = rearrange(sequence, step.group, **step.lengths(1, grid))[..., 0]
    mine = groups[(groups == cube[query]).any(axis=1)]
    return np.isin(cube, mine)


def draw_schemes(path: Path) -> None:
    """The five schemes: for one patch, whom it looks at in each step."""
    mpl.rcParams.update(
        {"svg.hashsalt": "timesformer_ref", "font.size": 11, "svg.fonttype": "path"}
    )
    columns = max(map(len, SCHEMES.values()))
    figure, axes = plt.subplots(len(SCHEMES), columns, figsize=(9.6, 7.2))
    for row, (scheme, steps) in zip(axes, SCHEMES.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        row[0].text(-0.4, 5.6, NAMES[scheme], color=COLOURS["text"], weight="bold", size=12)
        for number, (axis, step) in enumerate(zip(row, steps, strict=False), start=1):
            draw_step(axis, step, f"{number}. {step}" if len(steps) > 1 else step)
    figure.tight_layout(pad=0.4, h_pad=0.9)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def draw_step(axis: plt.Axes, step: str, title: str) -> None:
    """Four frames side by side; the patch that looks, and those it sees."""
    seen = group_of(STEPS[step], QUERY)
    for t, y, x in np.ndindex(seen.shape):
        kind = "query" if (t, y, x) == QUERY else "group" if seen[t, y, x] else "other"
        corner = t * (SIDE + 0.8) + x, SIDE - 1 - y
        axis.add_patch(Rectangle(corner, 0.9, 0.9, color=COLOURS[kind], linewidth=0))
    axis.set_xlim(-0.5, FRAMES * (SIDE + 0.8))
    axis.set_ylim(-1.3, SIDE + 2.4)
    axis.set_aspect("equal")
    axis.text(-0.1, -1.1, title, color=COLOURS["text"])
