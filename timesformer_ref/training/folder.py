"""Find videos and their classes: one folder per class, or a list."""

import csv
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from timesformer_ref.input.folders import videos_in, warn_of_others

PATHS = {"path", "video", "video_path", "file", "filename", "file_path", "clip", "url", "name"}
LABELS = {"label", "class", "category", "action", "target", "class_name", "label_name"}
"""Names of the columns of a list: where the video is, and what its class is."""
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""Names of folders that hold a part of a data set."""


class VideosError(Exception):
    """A folder or list without labelled videos; names it, and the line."""


class Videos(NamedTuple):
    """Videos and the number of each one's class, with the names of all classes.

    names: of the videos, as the list has them or below the folder; the same wherever it lies.
    """

    paths: list[Path]
    labels: list[int]
    classes: tuple[str, ...]
    names: list[str]

    @property
    def listed(self) -> list[list[str]]:
        """Name and class of every video, as JSON."""
        pairs = zip(self.names, self.labels, strict=True)
        return [[name, self.classes[label]] for name, label in pairs]

    @property
    def balance(self) -> list[float]:
        """Weights by class with which all that have a video count alike; 1 for a mean clip."""
        counts = Counter(self.labels)
        mean = len(self.labels) / len(counts)
        return [mean / max(counts[label], 1) for label in range(len(self.classes))]


def find_videos(source: Path, classes: Sequence[str] | None = None) -> Videos:
    """The videos of a folder with one folder per class, or of a list of paths and labels.

    A list is CSV, with or without a header, lines `path label`, or JSON: pairs or objects. A path
    is relative to the list's folder, and a label is a class's name, or its number from 0 where all
    labels are numbers.
    classes: those of a model; by default all that occur, sorted by name.

    Raises VideosError where there are none, for a class that the model does not have, for a
    missing file, and for classes that are hardly meant: one alone, folders named after parts of a
    data set, names that differ in capitals only, numbers that do not begin at 0.
    """
    if not source.exists():
        raise VideosError(f"{source}: no such folder or list")
    is_folder = source.is_dir()
    named = list(_of_folder(source) if is_folder else _of_list(source))
    if not named:
        raise VideosError(f"{source}: names no video: expected lines path,label")
    labels = {video.label for video in named}
    are_numbers = not is_folder and all(label.isdecimal() for label in labels)
    if classes is None:
        classes = _numbered(source, labels) if are_numbers else _named(source, labels)
        if len(classes) == 1:
            raise VideosError(f"{source}: only the class {classes[0]!r}: two at least are needed")
    places = {name: i for i, name in enumerate(classes)}
    if are_numbers:
        places = {str(i): i for i in range(len(classes))} | places
    seen: dict[Path, str] = {}
    for path, _, label, where in named:
        if label not in places:
            some = ", ".join(classes[:5]) + ", …" * (len(classes) > 5)
            raise VideosError(f"{where}: {label!r} is none of the {len(classes)} classes ({some})")
        if not path.is_file():
            raise VideosError(f"{where}: {path} is no file")
        if (other := seen.setdefault(path.resolve(), label)) != label:
            raise VideosError(f"{where}: {path} is of class {other!r} and {label!r}: leave one")
    paths, names, given, _ = map(list, zip(*named, strict=True))
    return Videos(paths, [places[label] for label in given], tuple(classes), names)


def as_begun(videos: Videos, listed: Sequence[Sequence[str]]) -> tuple[Videos, list[str]]:
    """The videos in the order in which a run began, and the names of those that have gone since.

    listed: name and class of each then (`Videos.listed`). Where there are others now, the videos as
    they are.
    """
    paths = dict(zip(map(tuple, videos.listed), videos.paths, strict=True))
    then = list(map(tuple, listed))
    if paths.keys() - set(then) or {label for _, label in then} - set(videos.classes):
        return videos, []
    begun = videos._replace(
        paths=[paths.get(video, Path(video[0])) for video in then],
        labels=[videos.classes.index(label) for _, label in then],
        names=[name for name, _ in then],
    )
    return begun, [name for name, label in then if (name, label) not in paths]


class Named(NamedTuple):
    """A video, its name, its label, and where the label stands."""

    path: Path
    name: str
    label: str
    where: str


def _of_folder(folder: Path) -> Iterator[Named]:
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not inside:
        raise VideosError(f"{folder}: has no folders: expected one per class, with its videos")
    passed_over = []
    for place in inside:
        videos, others = videos_in(place, deep=True)
        passed_over += others
        if not videos:
            raise VideosError(f"{place}: a folder without any video file")
        for path in videos:
            yield Named(path, path.relative_to(folder).as_posix(), place.name, str(place))
    warn_of_others(folder, passed_over)


def _of_list(path: Path) -> Iterator[Named]:
    """The videos of a CSV file, of lines `path label` as PySlowFast has them, or of a JSON list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if path.suffix.lower() == ".json" else _csv_rows(text)
        for where, row in rows:
            row = [str(cell).strip() for cell in row]
            if len(row) != 2 or not all(row):
                raise VideosError(f"{path}, {where}: {','.join(row)!r}, expected path,label")
            yield Named(path.parent / row[0], row[0], row[1], f"{path}, {where}")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise VideosError(f"{path}: not readable as a list of path,label ({error})") from error


def _csv_rows(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Lines with a comma or, where the first line has none, with a space before the label."""
    lines = text.splitlines()
    rows: Iterable[list[str]] = csv.reader(lines, strict=True)
    if lines and "," not in lines[0]:
        rows = (line.rsplit(maxsplit=1) for line in lines)
    columns: list[int] = []
    for number, row in enumerate(rows, start=1):
        if number == 1 and (columns := _columns([cell.strip().lower() for cell in row])):
            continue
        if any(row):
            yield f"line {number}", [row[i] for i in columns if i < len(row)] if columns else row


def _columns(names: Sequence[str]) -> list[int]:
    """Where path and label stand by a header; empty where this is no header."""
    found = [i for meant in (PATHS, LABELS) for i, name in enumerate(names) if name in meant]
    return found if len(found) == 2 else []


def _json_rows(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    for number, entry in enumerate(json.loads(text), start=1):
        if isinstance(entry, dict):
            entry = [entry[name] for meant in (PATHS, LABELS) for name in entry if name in meant]
        yield f"entry {number}", entry


def _named(source: Path, labels: Iterable[str]) -> list[str]:
    """All classes, sorted by name."""
    alike: dict[str, str] = {}
    for label in sorted(labels):
        if (other := alike.setdefault(label.casefold(), label)) != label:
            raise VideosError(
                f"{source}: {other!r} and {label!r} differ in capitals only: merge them"
            )
    if len(parts := PARTS & alike.keys()) > 1 or len(alike) == 1 == len(parts):
        names = ", ".join(sorted(alike[part] for part in parts))
        raise VideosError(
            f"{source}: {names} are parts of a data set, not classes: give the folder of one, "
            "and another to --validation"
        )
    return sorted(labels)


def _numbered(source: Path, labels: Iterable[str]) -> list[str]:
    """Every number up to the largest; warns (UserWarning) of those without a video."""
    numbers = set(map(int, labels))
    count = max(numbers) + 1
    if 0 not in numbers:
        raise VideosError(
            f"{source}: its labels are the numbers {min(numbers)} to {max(numbers)}: count classes "
            "from 0, or give their names"
        )
    if empty := count - len(numbers):
        warnings.warn(f"{source}: {empty} of classes 0 to {count - 1} have no video", stacklevel=3)
    return [str(number) for number in range(count)]
