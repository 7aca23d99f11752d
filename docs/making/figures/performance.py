"""The performance page's figures, from what the benchmarks wrote."""

from __future__ import annotations

from functools import partial

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from docs.making.figures.tour_costs import COLOURS
from docs.making.names import NAMES
from docs.making.performance_page import read, reports
from timesformer_ref.benchmark.picture import draw_benchmarks


@mpl.rc_context({"font.size": 12})
def draw_cases(dtype: str) -> Figure:
    """Every case in one arithmetic."""
    return draw_benchmarks(reports(dtype))


draw_float32, draw_bfloat16 = (partial(draw_cases, dtype) for dtype in ("float32", "bfloat16"))


@mpl.rc_context({"font.size": 13})
def draw_scale() -> Figure:
    """Seconds against multiply-adds, a mark for each clip; both axes logarithmic."""
    rows = read("scale")["rows"]
    figure, axis = plt.subplots(figsize=(6.4, 4.6))
    for scheme, colour in COLOURS.items():
        mine = sorted((r for r in rows if r["scheme"] == scheme and "seconds" in r), key=operations)
        giga = [operations(row) / 1e9 for row in mine]
        axis.plot(giga, [row["seconds"] for row in mine], "o-", color=colour, lw=2)
    axis.set(xscale="log", yscale="log", xlabel="10⁹ multiply-adds", ylabel="seconds")
    axis.grid(color="#8888", lw=0.5)
    axis.spines[["top", "right"]].set_visible(False)
    names = [NAMES[scheme] for scheme in COLOURS]
    figure.legend(axis.get_lines(), names, loc="upper center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.8))
    return figure


def operations(row: dict[str, int]) -> int:
    """What a clip costs by count."""
    return row["multiply_adds"]
