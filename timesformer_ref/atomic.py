"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside the path to write to, which takes the path's place once all is written.

    Folders on the way to the path are made. Raises OSError where it cannot be written; all other
    errors of the body pass, so PyTorch, whose error is another, writes to an open file.
    """
    with _place_beside(path) as aside:
        unfinished = aside / path.name
        yield unfinished
        _readable(unfinished)
        unfinished.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside the path to fill, which takes the path's place once all is written.

    Folders on the way to the path are made. Raises OSError where it cannot be written.
    """
    path = path.parent.resolve() / path.name  # a path through the folder itself breaks as it moves
    with _place_beside(path) as aside:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        yield new
        for file in new.iterdir():
            _readable(file)
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


@contextmanager
def _place_beside(path: Path) -> Iterator[Path]:
    """A hidden folder on the same disk, which is gone afterwards; errors name the path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
            yield Path(aside)
    except (OSError, SafetensorError) as error:  # safetensors' own, for a disk that is full
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise OSError(f"{path}: cannot be written ({reason})") from error


def _readable(file: Path) -> None:
    """Give a file the rights of any new file, which some writers keep to its owner."""
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)
