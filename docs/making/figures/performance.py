"""The performance page's figures, from what the benchmarks wrote."""

from __future__ import annotations

from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.making.figures.tour_costs import COLOURS
from docs.making.names import NAMES
from docs.making.performance_page import read, reports, title
from timesformer_ref.benchmark.limit import LIMIT

RUNNERS = {"ours": "#c2410c", "peer": "#64748b", "limit": "#94a3b8", "text": "#1f2328"}


@mpl.rc_context({"font.size": 12})
def draw_cases(dtype: str) -> Figure:
    """Every case in one arithmetic."""
    return draw_benchmarks(reports(dtype))


draw_float32, draw_bfloat16 = (partial(draw_cases, dtype) for dtype in ("float32", "bfloat16"))


def draw_benchmarks(reports: list[dict[str, Any]]) -> Figure:
    """Draw one panel per report: one bar per runner, and one mark per round."""
    rows = [len(found["timings"]) for found in reports]
    figure, axes = plt.subplots(
        len(reports),
        figsize=(6.4, 0.9 * len(reports) + 0.32 * sum(rows)),
        squeeze=False,
        sharex=True,
        gridspec_kw={"height_ratios": [n + 1 for n in rows]},
        layout="constrained",
    )
    furthest = max(map(draw_benchmark, axes[:, 0], reports))
    axes[0, 0].set_xlim(0, 1.7 * furthest)  # leaves the right to the numbers
    return figure


def draw_benchmark(axis: Axes, found: dict[str, Any]) -> float:
    """Draw one report; returns its longest time relative to the peer's."""
    timings = found["timings"]
    peer = timings[0]
    furthest = 0.0
    for place, timing in enumerate(reversed(timings)):
        axis.barh(place, timing["ratio"], height=0.72, color=colour(timing["name"]))
        rounds = [s / p for s, p in zip(timing["seconds"], peer["seconds"], strict=True)]
        axis.plot(rounds, [place] * len(rounds), "|", color=RUNNERS["text"], alpha=0.5)
        furthest = max(furthest, *rounds, timing["ratio"])
        label = f"{timing['ratio']:.2f}  {timing['median_seconds']:.2f} s"
        at_the_right = axis.get_yaxis_transform()
        axis.text(1, place, label, va="center", ha="right", transform=at_the_right)
    axis.set_yticks(range(len(timings)), [t["name"] for t in reversed(timings)])
    axis.set_title(title(found), loc="left", weight="bold")
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return furthest


def colour(name: str) -> str:
    """The colour of a runner: ours, a peer, or the limit."""
    if name.startswith("timesformer_ref"):
        return RUNNERS["ours"]
    return RUNNERS["limit"] if name == LIMIT else RUNNERS["peer"]


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
