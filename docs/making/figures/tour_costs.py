"""How many tokens a patch is compared with, as clips grow (paper, figure 3, counts operations)."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from docs.making.names import NAMES
from timesformer_ref.benchmark.cost import comparisons
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES, Grid

FRAMES = (8, 16, 32, 64)
SIDES = (224, 320, 448, 640, 896)
COLOURS = dict(zip(SCHEMES, ("#6b7280", "#c2410c", "#2563eb", "#7c3aed", "#047857"), strict=True))


@mpl.rc_context({"font.size": 17})
def draw_comparisons() -> Figure:
    """Against frames and against frame size, a line a scheme; both axes logarithmic."""
    config = TimeSformerConfig()
    t, h, w = config.grid
    patches = [side // config.patch_size for side in SIDES]
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(6.4, 5))
    draw_growth(left, FRAMES, [(frames, h, w) for frames in FRAMES])
    draw_growth(right, SIDES, [(t, n, n) for n in patches])
    left.set(xlabel=f"frames (of {config.image_size}²)", ylabel="comparisons of a patch")
    right.set(xlabel=f"side (of {t} frames)", xticks=SIDES[::2], xticklabels=SIDES[::2])
    left.set(xticks=FRAMES, xticklabels=FRAMES)
    lines = left.get_lines()
    figure.legend(lines, [NAMES[s] for s in SCHEMES], loc="upper center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.78))
    return figure


def draw_growth(axis: Axes, sizes: Sequence[int], grids: Sequence[Grid]) -> None:
    """One line a scheme over clips of growing grids."""
    for scheme, colour in COLOURS.items():
        config = TimeSformerConfig(attention_type=scheme)
        axis.plot(sizes, [comparisons(config, grid) for grid in grids], "o-", color=colour, lw=2)
    axis.set(xscale="log", yscale="log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(color="#8888", lw=0.5)
    axis.spines[["top", "right"]].set_visible(False)
