"""Files and folders that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def check_target(target: Path, endings: Collection[str]) -> None:
    """Raises ValueError for a folder, and for a name of a file that has none of these endings."""
    if target.suffix not in endings:
        raise ValueError(f"{target}: use a name that ends in {' or '.join(endings)}")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder, expected the name of a file")


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
    """A folder to fill, which takes the path's place whole; all else is as for `whole_file`."""
    path = path.parent.resolve() / path.name  # a path through the folder itself breaks as it moves
    with _place_beside(path) as aside:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        yield new
        for file in filter(Path.is_file, new.iterdir()):
            _readable(file)
        if _exchange(new, path):
            return
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


def recover(path: Path) -> None:
    """Clear what dead writers of a path left beside it; a folder that one moved away comes back.

    A writer locks a file in its place; with its death, however sudden, the lock is gone.
    """
    for aside in _places(path):
        with suppress(OSError), _lock(aside, path).open("r+") as lock:
            hold(lock)
            if not fcntl:
                lock.close()
                _lock(aside, path).unlink()  # which Windows refuses while a process has it open
            if not path.exists() and (aside / "old").exists():
                (aside / "old").rename(path)
            shutil.rmtree(aside)


def hold(file: IO[Any]) -> None:
    """Lock an open file until it is closed or this process dies, where the system has such locks.

    Raises BlockingIOError where another process holds it, OSError on a disk without locks.
    """
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _places(path: Path) -> list[Path]:
    """The hidden folders beside a path of all that write it at the same time."""
    return [path.parent / f".{path.name}.unfinished-{number}" for number in range(8)]


def _lock(aside: Path, path: Path) -> Path:
    return aside / f"{path.name}.lock"


@contextmanager
def _place_beside(path: Path) -> Iterator[Path]:
    """A hidden folder on the same disk, which is gone afterwards; errors name the path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path)
        aside = _make_place(path)
        try:
            with _lock(aside, path).open("w") as lock:
                with suppress(OSError):  # a disk without locks, where nothing is cleared
                    hold(lock)
                yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors' own, for a disk that is full
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise OSError(f"{path}: cannot be written ({reason})") from error


def _make_place(path: Path) -> Path:
    for aside in _places(path):
        with suppress(FileExistsError):
            aside.mkdir(0o700)
            return aside
    raise OSError(errno.EBUSY, "many others are writing it")


def _exchange(one: Path, other: Path) -> bool:
    """Swap what two names stand for in one step of Linux; False where that cannot be done."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(swap and swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _readable(file: Path) -> None:
    """Give a file the rights of any new file, which some writers keep to its owner."""
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)
