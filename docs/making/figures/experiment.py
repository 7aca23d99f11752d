"""The experiment's clips and curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from einops import rearrange
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter
from torch import nan
from torch.nn.functional import pad

from docs.ablation.tasks import CLASSES, make_clips
from docs.making.experiment import plain_runs
from timesformer_ref.atomic import whole_file
from timesformer_ref.schemes import SCHEMES

STYLES = dict(
    zip(
        SCHEMES,
        [
            {"color": "#6b7280", "marker": "s"},
            {"color": "#b45309", "marker": "^"},
            {"color": "#1d4ed8", "marker": "o"},
            {"color": "#15803d", "marker": "D"},
            {"color": "#be185d", "marker": "v"},
        ],
        strict=True,
    )
)
"""Line and points of each scheme."""
STABLE: dict[Any, Any] = {"svg.hashsalt": "timesformer_ref", "svg.fonttype": "none"}
LEGIBLE: dict[Any, Any] = {"font.size": 12}
"""On a phone too."""


def draw_experiment(data: Path) -> None:
    """Write the clips and the curves beside the data of an ablation."""
    results = json.loads(data.read_text("utf-8"))
    draw_clips(results["config"], data.with_name("clips.svg"))
    draw_learning(results, data.with_name("learning.svg"))
    draw_growth(results["growth"], data.with_name("growth.svg"))


def draw_clips(config: Mapping[str, Any], target: Path) -> None:
    """A clip of each shape, one with each direction, frame by frame."""
    clips = make_clips(0, 1000, config["num_frames"], config["image_size"])
    figure = Figure(figsize=(9, 1), layout="constrained")
    panels = figure.subplots(1, len(CLASSES["motion"]))
    for kind, (axes, move, shape) in enumerate(zip(panels, *CLASSES.values(), strict=True)):
        asked = (clips.labels["motion"] == kind) & (clips.labels["appearance"] == kind)
        film = rearrange(clips.video[asked.nonzero()[0]], "1 t 1 H W -> H t W")
        film = pad(film, (0, 1), value=nan).numpy()
        axes.imshow(rearrange(film, "H t W -> H (t W)"), cmap="gray", vmin=-0.5, vmax=3)
        axes.set_title(f"{shape}, {move}", fontsize=9)
        axes.axis("off")
    _save(figure, target)


@rc_context(LEGIBLE)
def draw_learning(results: Mapping[str, Any], target: Path) -> None:
    """Accuracy on fresh clips against clips seen, a panel per task, a line and band per scheme."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    for axes, (task, labels) in zip(figure.subplots(1, 2), CLASSES.items(), strict=True):
        for scheme, runs in plain_runs(results, task).items():
            clips = [seen for seen, _ in runs[0]["curve"]]
            points = list(zip(*([top1 for _, top1 in run["curve"]] for run in runs), strict=True))
            low, high = [min(top1) for top1 in points], [max(top1) for top1 in points]
            style = STYLES[scheme]
            axes.plot(clips, [mean(p) for p in points], label=_words(scheme), markersize=4, **style)
            axes.fill_between(clips, low, high, color=style["color"], alpha=0.15, linewidth=0)
        chance = 1 / len(labels)
        axes.axhline(chance, color="#9ca3af", linestyle=":", linewidth=1)
        axes.text(0, chance, " chance", va="top", color="#6b7280")
        axes.set(title=task, xlabel="training clips", ylim=(0, 1.02), xlim=(0, None))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set(xticks=[0, 10_000, 20_000], xticklabels=["0", "10,000", "20,000"])
        _plain(axes)
    figure.axes[0].set_ylabel("accuracy on fresh clips")
    _legend(figure)
    _save(figure, target)


@rc_context(LEGIBLE)
def draw_growth(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Cost against frames and against frame size: lines predicted, points counted."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, varied, fixed, value in (
        (panels[0], "frames", "size", 224),
        (panels[1], "size", "frames", 8),
    ):
        for scheme, style in STYLES.items():
            found = [r for r in rows if r["attention_type"] == scheme and r[fixed] == value]
            found.sort(key=lambda row: row[varied])
            x = [row[varied] for row in found]
            axes.plot(x, [r["predicted"] / 1e12 for r in found], color=style["color"])
            axes.plot(x, [r["counted"] / 1e12 for r in found], label=_words(scheme), linestyle="",
                      markersize=5, **style)  # fmt: skip
        axes.set(yscale="log", xticks=x)
        axes.yaxis.set_major_formatter(ScalarFormatter())
        _plain(axes)
    panels[0].set(xlabel="frames of 224 × 224", ylabel="trillion multiply-adds a clip")
    panels[1].set(xlabel="side of 8 frames, pixels")
    _legend(figure)
    _save(figure, target)


def _legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=2, loc="outside upper center")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, target: Path) -> None:
    with whole_file(target) as unfinished, rc_context(STABLE):
        figure.savefig(unfinished, format="svg", metadata={"Date": None})
