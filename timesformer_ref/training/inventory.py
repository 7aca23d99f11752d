"""What a run is about to learn from: every video looked at once, before it begins."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    videos: Videos, track: Callable[..., Iterable[Look | VideoError]] = lambda looks, **_: looks
) -> list[Look | VideoError]:
    """A look at every video, or the error that it gives. track: as `rich.progress.track`."""

    def one(path: Path) -> Look | VideoError:
        try:
            return look(path)
        except VideoError as error:
            return error

    with ThreadPoolExecutor() as pool:
        looks = pool.map(one, videos.paths)
        return list(track(looks, total=len(videos.paths), description="looking at the videos"))


def take_stock(
    parts: Mapping[str, Videos],
    most_unreadable: float,
    clips: int,
    track: Callable[..., Iterable[Look | VideoError]] = lambda looks, **_: looks,
) -> list[list[str]]:
    """Look at every video once, warn of what is odd, and return a table of what there is.

    parts: `training`, and `validation` if there is one. clips: of the whole run, of which each
    class gets its share.
    Raises VideoError where more than this part cannot be read.
    """
    looks = {part: look_at_all(videos, track) for part, videos in parts.items()}
    for found in looks.values():
        broken = [str(seen) for seen in found if isinstance(seen, VideoError)]
        if len(broken) > most_unreadable * len(found):
            more = f" (and {len(broken) - 1} more videos)" if len(broken) > 1 else ""
            raise VideoError(f"{broken[0]}{more}")
        for line in broken:
            warnings.warn(line, stacklevel=2)
    warn_of_copies(parts, looks)
    columns = {part: _column(videos, looks[part]) for part, videos in parts.items()}
    of_classes = [f"of {name}" for name in parts["training"].classes]
    if missing := [n[3:] for n in of_classes if "0" in (column[n] for column in columns.values())]:
        warnings.warn(f"in training or validation only: {', '.join(missing)}", stacklevel=2)
    learnt = columns["training"]
    share = clips / int(learnt["videos"])
    columns["clips"] = {n: str(round(share * int(learnt[n]))) for n in ("videos", *of_classes)}
    names = {name: None for column in columns.values() for name in column}
    return [["", *columns]] + [[n, *(c.get(n, "") for c in columns.values())] for n in names]


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


def _column(videos: Videos, looks: Sequence[Look | VideoError]) -> dict[str, str]:
    seen = [one for one in looks if isinstance(one, Look)]
    column: dict[str, object] = {"videos": len(looks), "unreadable": len(looks) - len(seen)}
    column["turned, or pixels not square"] = sum(one.is_odd for one in seen)
    if seen:
        times = [one.seconds for one in seen]
        small, large = (f(seen, key=lambda o: o.height * o.width) for f in (min, max))
        column["seconds"] = f"{min(times):.1f} to {max(times):.1f}, median {median(times):.1f}"
        column["pixels"] = f"{small.width} × {small.height} to {large.width} × {large.height}"
    counts = Counter(videos.labels)
    column |= {f"of {name}": counts[n] for n, name in enumerate(videos.classes)}
    return {name: str(value) for name, value in column.items()}
