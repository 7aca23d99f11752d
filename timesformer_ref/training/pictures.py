"""Draw the loss of a run, and a confusion matrix."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.ndimage import uniform_filter1d

from timesformer_ref.atomic import whole_file

BLUE, ORANGE = "#1f5fa8", "#c2410c"
MOST_NUMBERS, MOST_NAMES = 20, 60
"""Most classes for which a confusion matrix shows counts, and names."""
SMOOTH = 40
"""The smoothed line averages over one part in so many of the run."""


def draw_run(log: Path, target: Path) -> None:
    """Draw a run from its log: the loss of each step and of the validation, and its accuracy.

    Raises OSError where the picture cannot be written.
    """
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    evaluated = [row for row in rows if "scores" in row]
    figure = Figure(figsize=(8, 6 if evaluated else 4), layout="constrained")
    axes = figure.subplots(2 if evaluated else 1, 1, sharex=True, squeeze=False)[:, 0]
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    axes[0].plot(steps, losses, color=BLUE, alpha=0.3, linewidth=0.8)
    smooth = uniform_filter1d(losses, max(1, len(losses) // SMOOTH), mode="nearest")
    axes[0].plot(steps, smooth, color=BLUE, label="training")
    if evaluated:
        steps = [row["step"] for row in evaluated]
        losses = [row["scores"]["loss"] for row in evaluated]
        axes[0].plot(steps, losses, "o-", color=ORANGE, label="validation")
        for name, label, style in (("top1", "top-1", "o-"), ("top5", "top-5", "s--")):
            parts = [row["scores"][name] for row in evaluated]
            if min(parts) < 1 or name == "top1":  # of five classes or fewer, all are among five
                axes[1].plot(steps, parts, style, color=ORANGE, label=label)
        axes[1].set(ylabel="validation accuracy", ylim=(0, 1.03))
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].set(ylabel="cross-entropy", ylim=(0, None))
    axes[-1].set(xlabel="step", xlim=(0, None))
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    _save(figure, target)


def draw_confusion(
    confusion: Int64[np.ndarray, "labels labels"], classes: Sequence[str], target: Path
) -> None:
    """Draw a confusion matrix: classes (rows) by predictions (columns), shaded by part of the row.

    Raises OSError where the picture cannot be written.
    """
    count = len(classes)
    parts = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.45 * count + 2.5), 14.0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, shrink=0.7, format=PercentFormatter(1), label="part of the class")
    right = confusion.trace() / max(confusion.sum(), 1)
    title = f"{confusion.sum()} videos, {100 * right:.1f} % right"
    axes.set(xlabel="prediction", ylabel="class", title=title)
    if count <= MOST_NAMES:
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name in classes]
        axes.set_xticks(range(count), names, rotation=90, parse_math=False)
        axes.set_yticks(range(count), names, parse_math=False)
    if count <= MOST_NUMBERS:
        for (row, column), number in np.ndenumerate(confusion):
            if number:
                colour = "white" if parts[row, column] > 0.6 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour)
    _save(figure, target)


def _save(figure: Figure, target: Path) -> None:
    with whole_file(target) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")
