"""Find videos and their classes: one folder per class, or a CSV file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from timesformer_ref.input.decoding import VideoError
from timesformer_ref.input.folders import videos_in, warn_of_others
from timesformer_ref.input.survey import check_video

HEADER = ["path", "label"]


class VideosError(Exception):
    """A folder or list without labelled videos; names it, and the line."""


class Videos(NamedTuple):
    """Videos and the number of each one's class, with the names of all classes."""

    paths: list[Path]
    labels: list[int]
    classes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of the list, the same wherever its folder lies."""
        names = [f"{path.parent.name}/{path.name}" for path in self.paths]
        text = repr((names, self.labels, self.classes))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_videos(source: Path, classes: Sequence[str] | None = None) -> Videos:
    """The videos of a folder with one folder per class, or of a CSV file `path,label`.

    In the CSV file, a first line `path,label` is a header, a path is relative to the file's folder,
    and a label is a class's name, or its number from 0 where all labels are numbers.
    classes: those of a model; by default all that occur, sorted by name.

    Raises VideosError where there are none, for a class that the model does not have, and for a
    missing file.
    """
    if not source.exists():
        raise VideosError(f"{source}: no such folder or CSV file")
    named = list(_of_folder(source) if source.is_dir() else _of_csv(source))
    if not named:
        raise VideosError(f"{source}: names no video")
    if classes is None:
        classes = _classes([label for _, label, _ in named])
    places = {name: i for i, name in enumerate(classes)}
    if all(label.isdecimal() for _, label, _ in named):
        places = {str(i): i for i in range(len(classes))} | places
    for path, label, where in named:
        if label not in places:
            some = ", ".join(classes[:5]) + ", …" * (len(classes) > 5)
            raise VideosError(f"{where}: {label!r} is none of the {len(classes)} classes ({some})")
        if not path.is_file():
            raise VideosError(f"{where}: {path} is no file")
    return Videos(
        [path for path, _, _ in named], [places[label] for _, label, _ in named], tuple(classes)
    )


Named = tuple[Path, str, str]
"""A video, its label, and where the label stands."""


def _of_folder(folder: Path) -> Iterator[Named]:
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not inside:
        raise VideosError(f"{folder}: has no folders, expected one for each class, of its videos")
    passed_over = []
    for place in inside:
        videos, others = videos_in(place, deep=True)
        passed_over += others
        if not videos:
            raise VideosError(f"{place}: a folder without any video file")
        yield from ((path, place.name, str(place)) for path in videos)
    warn_of_others(folder, passed_over)


def _of_csv(path: Path) -> Iterator[Named]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            for row in rows:
                row = [cell.strip() for cell in row]
                where = f"{path}, line {rows.line_num}"
                if not any(row) or (rows.line_num == 1 and [c.lower() for c in row] == HEADER):
                    continue
                if len(row) != 2 or not all(row):
                    raise VideosError(f"{where}: {','.join(row)!r}, expected path,label")
                yield path.parent / row[0], row[1], where
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VideosError(f"{path}: not readable as CSV of path,label ({error})") from error


def _classes(labels: list[str]) -> list[str]:
    """All classes, sorted by name; if all are numbers, every number up to the largest."""
    if all(label.isdecimal() for label in labels):
        return [str(i) for i in range(max(map(int, labels)) + 1)]
    return sorted(set(labels))


def check_videos(videos: Videos, progress: Callable[[], None] = lambda: None) -> None:
    """Check every file before a long run: its frames are counted, not decoded.

    Raises VideoError for the first that holds none, with the number of all such.
    """

    def problem(path: Path) -> str | None:
        try:
            check_video(path)
        except VideoError as error:
            return str(error)
        finally:
            progress()
        return None

    with ThreadPoolExecutor() as pool:
        problems = [p for p in pool.map(problem, videos.paths) if p]
    if problems:
        more = f" (and {len(problems) - 1} more videos)" if len(problems) > 1 else ""
        raise VideoError(f"{problems[0]}{more}")
