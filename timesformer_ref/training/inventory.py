"""What a run is about to learn from: every video looked at once, before it begins."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

from timesformer_ref.input.decoding import VideoError, decode_frames, display_words, no_frame
from timesformer_ref.input.survey import survey
from timesformer_ref.training.folder import Videos

SAMPLE = 1 << 16
"""Bytes at either end of a file by which its copies are recognised, with its size."""


class Look(NamedTuple):
    """What is seen of a video without decoding more than its first frame.

    height, width: as stored, pixels. is_odd: a viewer shows other pixels. key: the same for copies.
    """

    seconds: float
    height: int
    width: int
    is_odd: bool
    key: tuple[int, bytes]


def look(path: Path) -> Look:
    """Count a video's frames and decode the first. Raises VideoError where there is none."""
    footage = survey(path, timed=False)
    first = next(filter(None, decode_frames(path)), None)
    if first is None:
        raise no_frame(path)
    frame, shown = first
    seconds = len(footage.times) / footage.fps
    return Look(seconds, frame.height, frame.width, bool(display_words(shown)), _key(path))


def _key(path: Path) -> tuple[int, bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(SAMPLE)
        file.seek(-min(size, SAMPLE), os.SEEK_END)
        return size, hashlib.sha256(ends + file.read()).digest()


def look_at_all(
    videos: Videos, progress: Callable[[], None] = lambda: None
) -> list[Look | VideoError]:
    """A look at every video, or the error that it gives."""

    def one(path: Path) -> Look | VideoError:
        try:
            return look(path)
        except VideoError as error:
            return error
        finally:
            progress()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, videos.paths))


KINDS: dict[str, Callable[[Sequence[Place]], bool]] = {
    "in training and in validation: what is learnt by heart passes for understanding": (
        lambda copies: len({copy.part for copy in copies}) > 1
    ),
    "of two classes": lambda copies: len({copy.label for copy in copies}) > 1,
    "there twice": lambda copies: len({(copy.part, copy.label) for copy in copies}) == 1,
}
"""What is wrong with copies of a video, and for which it is so."""


class Place(NamedTuple):
    """Where a video is: in training or validation, by name, with its class."""

    part: str
    name: str
    label: str


def warn_of_copies(
    parts: Mapping[str, Videos], looks: Mapping[str, Sequence[Look | VideoError]]
) -> None:
    """Warn of files that are there more than once, in a line for each kind of it."""
    places: defaultdict[tuple[int, bytes], list[Place]] = defaultdict(list)
    for part, videos in parts.items():
        for (name, label), seen in zip(videos.listed, looks[part], strict=True):
            if isinstance(seen, Look):
                places[seen.key].append(Place(part, name, label))
    several = [copies for copies in places.values() if len(copies) > 1]
    for words, is_so in KINDS.items():
        if found := [copies for copies in several if is_so(copies)]:
            one, *_, other = found[0]
            example = f"{one.part} {one.name}, {other.part} {other.name}"
            warnings.warn(f"the same video is {words}: {len(found)} ({example})", stacklevel=2)


def describe(videos: Videos, looks: Sequence[Look | VideoError]) -> str:
    """A line about videos: how many of each class, how long, how large, and how many odd ones."""
    seen = [one for one in looks if isinstance(one, Look)]
    counts = Counter(videos.labels)
    fewest, most = (f(counts[n] for n in range(len(videos.classes))) for f in (min, max))
    per_class = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    line = f"{len(looks)} videos of {len(videos.classes)} classes, {per_class} per class"
    if seen:
        times = [one.seconds for one in seen]
        small, large = (f(seen, key=lambda o: o.height * o.width) for f in (min, max))
        line += f"; {min(times):.1f} to {max(times):.1f} s (median {median(times):.1f} s)"
        line += f", {small.width} × {small.height} to {large.width} × {large.height} pixels"
    if turned := sum(one.is_odd for one in seen):
        line += f"; {turned} turned or with pixels that are not square"
    if broken := len(looks) - len(seen):
        line += f"; {broken} cannot be read"
    return line
