"""Results of many videos: a line of JSON each, written as they come, so that a run can go on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

import torch

from timesformer_ref.atomic import hold, whole_file
from timesformer_ref.checkpoints import Checkpoint

START = b'{"video": "'
"""The start of every line."""


class ResultsError(Exception):
    """A file that does not hold these results; names it, and the line."""


class Results:
    """A file of results: objects with `video`, the fields found or `error`, and `settings`.

    settings: all that decides a result, as JSON. Their hash is in each line, and a file of other
    settings is refused. part: several processes write a file each, all but 0 beside the first.
    """

    def __init__(self, path: Path, settings: dict[str, Any], part: int = 0) -> None:
        text = json.dumps(settings, sort_keys=True)
        self.settings = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.path, self.own = path, path if part == 0 else Path(f"{path}.{part}")
        self._held: IO[bytes] | None = None

    def gather(self) -> None:
        """Take in the parts of other processes, and drop a line in whose middle one died.

        Only one process may do so, and only while none writes. Raises ResultsError, and OSError
        where another run writes the file.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._held = self._held or self.path.open("ab")
        try:
            hold(whole)
        except BlockingIOError as error:
            raise ResultsError(f"{self.path}: another run is writing it") from error
        except OSError:
            pass  # a disk without locks
        whole.truncate(sum(len(line) for _, line in self._lines(self.path)))
        parts = list(self.path.parent.glob(f"{escape(self.path.name)}.[0-9]*"))
        for part in parts:
            whole.writelines(line for _, line in self._lines(part))
        whole.flush()
        for part in parts:
            part.unlink()

    def close(self) -> None:
        """Let other runs write the file."""
        if self._held:
            self._held.close()

    def read(self) -> dict[str, bool]:
        """The videos that are done, and whether there is a result rather than an error."""
        return {found["video"]: "error" not in found for found, _ in self._lines(self.path)}

    def add(self, video: str, **found: object) -> None:
        """Write a result. Raises OSError where it cannot be written."""
        line = json.dumps({"video": video, **found, "settings": self.settings})
        try:
            with self.own.open("ab") as file:
                file.write(line.encode() + b"\n")
        except OSError as error:
            raise OSError(f"{self.own}: cannot be written ({error.strerror})") from error

    def arrange(self, videos: Sequence[str]) -> None:
        """Keep the last line of each video, in this order."""
        places, at = {}, 0
        for found, line in self._lines(self.path):
            places[found["video"]] = (at, len(line))
            at += len(line)
        order = {video: number for number, video in enumerate(videos)}
        last = [places[video] for video in sorted(places, key=lambda v: order.get(v, -1))]
        if last == sorted(last) and sum(length for _, length in last) == at:
            return
        with whole_file(self.path) as place, place.open("wb") as new, self.path.open("rb") as old:
            for start, length in last:
                old.seek(start)
                new.write(old.read(length))

    def _lines(self, path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The whole lines of a file, read and raw. Raises ResultsError for one of anything else."""
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") and START[: len(line)] == line[: len(START)]:
                    return  # a process died in the middle of it
                found = None
                with suppress(ValueError):
                    found = json.loads(line)
                if not line.startswith(START) or not isinstance(found, dict):
                    raise ResultsError(f"{path}, line {number}: is no result of a video")
                if found.get("settings") != self.settings:
                    raise ResultsError(
                        f"{path}, line {number}: a result of other settings or another "
                        "checkpoint: name another file"
                    )
                yield found, line


def fingerprint(checkpoint: Checkpoint) -> str:
    """A hash of a checkpoint's weights."""
    found = hashlib.sha256()
    for name, weight in sorted(checkpoint.weights.items()):
        found.update(name.encode())
        found.update(weight.contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()[:12]
