"""What a run is about to do: its steps and their memory, and every video looked at once."""

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

from accelerate import PartialState
from rich.filesize import decimal

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.decoding import VideoError, decode_frames, display_words, no_frame
from timesformer_ref.input.survey import survey
from timesformer_ref.training.folder import Videos
from timesformer_ref.training.memory import step_memory
from timesformer_ref.training.recipe import Precision, Recipe, count_steps

FEW_STEPS = 50
"""Fewer steps than this hardly teach anything."""
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
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(SAMPLE)
        file.seek(-min(size, SAMPLE), os.SEEK_END)
        key = size, hashlib.sha256(ends + file.read()).digest()
    seconds = len(footage.times) / footage.fps
    return Look(seconds, frame.height, frame.width, bool(display_words(shown)), key)


Looks = Sequence[Look | VideoError]
"""A look at each video, or the error that it gives."""
Track = Callable[..., Iterable[Look | VideoError]]


def look_at_all(videos: Videos, track: Track = lambda looks, total: looks) -> Looks:
    """A look at every video. track: as `rich.progress.track`."""

    def one(path: Path) -> Look | VideoError:
        try:
            return look(path)
        except VideoError as error:
            return error

    with ThreadPoolExecutor() as pool:
        return list(track(pool.map(one, videos.paths), total=len(videos.paths)))


def take_stock(
    parts: Mapping[str, Videos], most: float, clips: int, track: Track = lambda looks, total: looks
) -> list[list[str]]:
    """Look at every video once, warn of what is odd, and return a table of what there is.

    parts: `training`, and `validation` if there is one. clips: of the whole run, of which each
    class gets its share.
    Raises VideoError where more than the part `most` cannot be read.
    """
    looks = {part: look_at_all(videos, track) for part, videos in parts.items()}
    for found in looks.values():
        broken = [str(seen) for seen in found if isinstance(seen, VideoError)]
        if len(broken) > most * len(found):
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            raise VideoError(f"{broken[0]}{more}")
        for line in broken:
            warnings.warn(line, stacklevel=2)
    warn_of_copies(parts, looks)
    columns = {part: _column(videos, looks[part]) for part, videos in parts.items()}
    training, there = parts["training"], [set(videos.labels) for videos in parts.values()]
    missing = [name for n, name in enumerate(training.classes) if any(n not in p for p in there)]
    if missing and len(parts) > 1:
        warnings.warn(f"in training or validation only: {', '.join(missing)}", stacklevel=2)
    counts, share = Counter(training.labels), clips / len(training.paths)
    columns["clips"] = {"videos": str(clips)} | {
        f"of {name}": str(round(share * counts[n])) for n, name in enumerate(training.classes)
    }
    names = {name: None for column in columns.values() for name in column}
    return [["", *columns]] + [[n, *(c.get(n, "") for c in columns.values())] for n in names]


def warn_of_copies(parts: Mapping[str, Videos], looks: Mapping[str, Looks]) -> None:
    """Warn of files that are there more than once, in a line for each kind of it."""
    copies: defaultdict[tuple[int, bytes], list[tuple[str, str, str]]] = defaultdict(list)
    for part, videos in parts.items():
        for (name, label), seen in zip(videos.listed, looks[part], strict=True):
            if isinstance(seen, Look):
                copies[seen.key].append((part, label, f"{part} {name}"))
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for places in copies.values():
        in_both, of_two = (len({place[i] for place in places}) > 1 for i in range(2))
        example = f"{places[0][2]}, {places[-1][2]}"
        if in_both:
            kinds["in training and in validation, which inflates the accuracy"].append(example)
        if of_two:
            kinds["of two classes"].append(example)
        if len(places) > 1 and not in_both and not of_two:
            kinds["there twice"].append(example)
    for kind, found in kinds.items():
        warnings.warn(f"the same video is {kind}: {len(found)} ({found[0]})", stacklevel=2)


def _column(videos: Videos, looks: Looks) -> dict[str, str]:
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


def plan_run(
    config: TimeSformerConfig,
    recipe: Recipe,
    videos: int,
    accumulate: int,
    precision: Precision | None,
    recompute: bool,
) -> list[str]:
    """Lines on how a run is cut into steps, where, and the memory that each process needs.

    precision: None for what Accelerate was launched with. Warns of a run that is too short.
    """
    steps, state = count_steps(recipe, videos), PartialState()
    epochs = steps * recipe.batch_size / videos
    if recipe.epochs and steps < FEW_STEPS:
        small = "" if recipe.last_blocks else "with so few videos use --recipe small, or "
        more = f"--batch {max(1, recipe.epochs * videos // FEW_STEPS)}, or more --epochs"
        warnings.warn(f"{steps} steps teach little: {small or 'use '}{more}", stacklevel=2)
    half = (precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")) != "no"
    size = max(1, recipe.batch_size // (accumulate * state.num_processes))
    try:
        memory = step_memory(config, recipe, size, half, recompute)
        amounts = ", ".join(f"{what} {decimal(count)}" for what, count in memory.items())
        computed = f"{decimal(sum(memory.values()))} ({amounts})"
    except (ImportError, AttributeError):
        computed = "not with this PyTorch"
    return [
        f"{epochs:.3g} epochs are {steps} steps of {recipe.batch_size} clips: {size} at once × "
        f"{accumulate} parts × {state.num_processes} processes",
        f"on {state.device}, in {'float32 and 16 bits' if half else 'float32'}; memory, computed: "
        f"{computed}",
    ]
