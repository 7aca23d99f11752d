"""Write what an evaluation found as CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from timesformer_ref.atomic import whole_file
from timesformer_ref.training.evaluate import NO_CLASS, Evaluation


def write_tables(
    found: Evaluation, videos: Sequence[str], classes: Sequence[str], folder: Path
) -> None:
    """Write a row per class, twice, and one per video, under its name in `videos`.

    `confusion.csv` has a column per prediction; `classes.csv` precision and recall, empty where a
    class was never predicted or has no video. Raises OSError where they cannot be written.
    """
    write_confusion(found, classes, folder / "confusion.csv")
    right, predicted = found.confusion.diagonal(), found.confusion.sum(axis=0)
    counts = found.confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        scores = np.stack([right / predicted, right / counts], axis=1).round(4)
    _write(
        folder / "classes.csv",
        ["class", "videos", "precision", "recall"],
        (
            [name, count, *("" if np.isnan(score) else score for score in row)]
            for name, count, row in zip(classes, counts.tolist(), scores.tolist(), strict=True)
        ),
    )
    best = found.probabilities.argmax(axis=1)
    _write(
        folder / "predictions.csv",
        ["video", "class", "prediction", "probability"],
        (
            [name, classes[label], classes[answer], round(float(row[answer]), 4)]
            for name, label, answer, row in zip(
                videos, found.labels, best, found.probabilities, strict=True
            )
            if label != NO_CLASS
        ),
    )


def write_confusion(found: Evaluation, classes: Sequence[str], target: Path) -> None:
    """Write a confusion matrix: one row per class, one column per prediction."""
    rows = zip(classes, found.confusion.tolist(), strict=True)
    _write(target, ["class", *classes], ([name, *row] for name, row in rows))


def _write(target: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with whole_file(target) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header)
        lines.writerows(rows)
