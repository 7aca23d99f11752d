"""What an evaluation found as tables: CSV files, and lines for a person."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from timesformer_ref.atomic import whole_file
from timesformer_ref.training.evaluate import NO_CLASS, Evaluation

Table = list[list[str]]
"""Rows of cells, the first of them the header."""
CONFUSION, CLASSES, PREDICTIONS = "confusion.csv", "classes.csv", "predictions.csv"
SHOWN = 30
"""Most lines of a table that a person is shown."""


def make_tables(
    found: Evaluation, videos: Sequence[str], classes: Sequence[str]
) -> dict[str, Table]:
    """The tables of an evaluation by the names of their files. videos: their names.

    `CONFUSION` has a row per class and a column per prediction; `CLASSES` precision and recall,
    empty where a class was never predicted or has no video; `PREDICTIONS` a row per video.
    """
    right, predicted = found.confusion.diagonal(), found.confusion.sum(axis=0)
    counts = found.confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        scores = np.stack([right / predicted, right / counts], axis=1)
    answers = found.probabilities.argmax(axis=1)
    rows: dict[str, list[list[object]]] = {
        CONFUSION: [
            ["class", *classes],
            *([name, *row] for name, row in zip(classes, found.confusion, strict=True)),
        ],
        CLASSES: [
            ["class", "videos", "precision", "recall"],
            *(
                [name, count, *("" if np.isnan(score) else f"{score:.4f}" for score in row)]
                for name, count, row in zip(classes, counts, scores, strict=True)
            ),
        ],
        PREDICTIONS: [
            ["video", "class", "prediction", "probability"],
            *(
                [name, classes[label], classes[answer], f"{row[answer]:.4f}"]
                for name, label, answer, row in zip(
                    videos, found.labels, answers, found.probabilities, strict=True
                )
                if label != NO_CLASS
            ),
        ],
    }
    return {name: [list(map(str, row)) for row in table] for name, table in rows.items()}


def write_tables(tables: Mapping[str, Table], folder: Path) -> None:
    """Write tables as CSV files. Raises OSError where they cannot be written."""
    for name, table in tables.items():
        with (
            whole_file(folder / name) as unfinished,
            unfinished.open("w", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(table)


def read_tables(folder: Path) -> dict[str, Table]:
    """The tables that a folder has. Raises OSError where one cannot be read."""
    there = [path for name in (CLASSES, PREDICTIONS) if (path := folder / name).exists()]
    return {p.name: list(csv.reader(p.open(encoding="utf-8", newline=""))) for p in there}


def results(tables: Mapping[str, Table], surest: int = 5) -> list[str]:
    """Precision and recall of every class, and the wrong predictions of the highest probability."""
    wrong = [row for row in tables[PREDICTIONS][1:] if row[1] != row[2]]
    wrong.sort(key=lambda row: -float(row[3]))
    return shortened(aligned(tables[CLASSES])) + [
        f"{video} of {label}: {answer} {100 * float(probability):.1f} %"
        for video, label, answer, probability in wrong[:surest]
    ]


def aligned(table: Table) -> list[str]:
    """A table as lines, its columns one below another."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


def shortened(lines: list[str]) -> list[str]:
    """The first lines of many, and how many more there are."""
    return lines[:SHOWN] + [f"and {len(lines) - SHOWN} more"] * (len(lines) > SHOWN)
