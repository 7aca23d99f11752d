"""Draw benchmarks as bars: each runner's time relative to the peer's."""

from __future__ import annotations

from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timesformer_ref.benchmark.runners import FLOOR

COLOURS = {"ours": "#c2410c", "peer": "#64748b", "floor": "#94a3b8", "text": "#1f2328"}


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
        axis.plot(rounds, [place] * len(rounds), "|", color=COLOURS["text"], alpha=0.5)
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


def title(found: dict[str, Any]) -> str:
    """A title that names what a report timed."""
    scheme = found["scheme"].replace("_space_time", "").replace("_", " ")
    words = [f"{scheme} {found['frames']} × {found['size']}", found["dtype"]]
    if found["batch"] > 1:
        words.append(f"{found['batch']} clips")
    if found["videos"]:
        words.append("from file to answer")
    if found["train"]:
        words.append("training step")
    return ", ".join(words)


def colour(name: str) -> str:
    """The colour of a runner: ours, a peer, or the floor."""
    if name.startswith("timesformer_ref"):
        return COLOURS["ours"]
    return COLOURS["floor"] if name == FLOOR else COLOURS["peer"]
