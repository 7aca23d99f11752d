"""What an evaluation found as tables: CSV files, and lines for a person."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    confusion, scores = [["class", *classes]], [["class", "videos", "precision", "recall"]]
    for label, name in enumerate(classes):
        row, column = found.confusion[label], found.confusion[:, label]
        parts = [f"{row[label] / of:.4f}" if of else "" for of in (column.sum(), row.sum())]
        confusion.append([name, *map(str, row)])
        scores.append([name, str(row.sum()), *parts])
    predictions = [["video", "class", "prediction", "probability"]]
    for name, label, row in zip(videos, found.labels, found.probabilities, strict=True):
        if label != NO_CLASS:
            best = row.argmax()
            predictions.append([name, classes[label], classes[best], f"{row[best]:.4f}"])
    return {CONFUSION: confusion, CLASSES: scores, PREDICTIONS: predictions}


def write_tables(tables: Mapping[str, Table], folder: Path) -> None:
    """Write tables as CSV files. Raises OSError where they cannot be written."""
    for name, table in tables.items():
        with whole_file(folder / name) as place, place.open("w", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(table)


def read_tables(folder: Path) -> dict[str, Table]:
    """The tables in a folder that `results` takes. Raises OSError where one cannot be read."""
    paths = [folder / CLASSES, folder / PREDICTIONS]
    return {p.name: list(csv.reader(p.open(encoding="utf-8", newline=""))) for p in paths}


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
