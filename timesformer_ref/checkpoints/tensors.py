"""Open files of tensors, known by their content, without running any code in them."""

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from sys import byteorder
from typing import IO, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.pickled import Lazy, Refused, Storage, Unpickler
from timesformer_ref.config import shown
from timesformer_ref.endings import Form

MAGIC = 0x1950A86A20F9469CFC6C
"""The first value in a file that `torch.save` wrote before PyTorch 1.6."""

MOST_ALIASES = 64
"""How many times its size a file's tensors may have, since layers may share their weights."""

MOST_DIRECTORY = 1 << 23
"""Bytes of an archive's directory, which holds some 80 for each tensor."""


class Content(NamedTuple):
    """What a file holds: each tensor `Lazy`, by its name, possibly in a dict of its own."""

    values: Mapping[Any, Any]
    stated: Mapping[Any, Any]
    form: Form


@contextmanager
def open_tensors(path: Path) -> Iterator[Content]:
    """What a file holds; its tensors can be read until it is closed.

    Raises CheckpointError for a file that is no tensor file, is cut off, or holds code.
    """
    try:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        with path.open("rb") as file:
            start = file.read(64)
            if start[4:9] == b"\0\0\0\0{":  # the length of a header, and the header
                yield _safetensors(path)
            elif start.startswith((b"PK\3\4", b"\x80")):
                content = _torch(path, file, start.startswith(b"PK"))
                yield Content(content, content, "original")
            else:
                raise CheckpointError(f"{path}: {_what_it_is(start)}")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error


def _what_it_is(start: bytes) -> str:
    """A guess at the kind of a file that is none of tensors."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file that it stands for: run `git lfs pull`"
    if start.lstrip()[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
        return "a web page, not a checkpoint: the address that it was saved from gave no file"
    if start.isascii() and (b"\n" in start or start.decode().isprintable()):
        return f"a text file ({start[:24].decode()!r} …), not a PyTorch checkpoint"
    return "not a PyTorch checkpoint (.pyth, .pth, .pt, .bin) nor a .safetensors file, or cut off"


def _safetensors(path: Path) -> Content:
    opened: Any = safe_open
    try:
        file = opened(path, "pt")
        tensors = {name: Lazy(file.get_tensor, name) for name in file.keys()}  # noqa: SIM118
        return Content(tensors, file.metadata() or {}, "safetensors")
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: a safetensors file that is cut off or damaged ({shown(error)})"
        ) from error


def _torch(path: Path, file: IO[bytes], archive: bool) -> Mapping[Any, Any]:
    opened = _TorchFile(file, path.stat().st_size)
    try:
        content = opened.archive() if archive else opened.legacy()
    except Refused as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged archive or pickle has a dozen
        what = "cut off, damaged, or not written by torch.save: get a whole copy"
        raise CheckpointError(f"{path}: {what}") from error
    if not isinstance(content, dict):
        kind = "Tensor" if isinstance(content, Lazy) else type(content).__name__
        raise CheckpointError(f"{path}: holds a {kind}, not weights by name (a state dict)")
    return content


class _Place(NamedTuple):
    """Where bytes lie in a file; `crc` is their checksum, or 0 for none."""

    start: int
    length: int
    crc: int = 0


class _Frugal(io.FileIO):
    """A file of which `zipfile` reads its directory, in one piece, only if that is not huge."""

    def read(self, size: int | None = -1) -> bytes:
        if (size or 0) > MOST_DIRECTORY:
            raise Refused(f"a directory of {size:,} bytes, of at most {MOST_DIRECTORY:,}")
        return super().read(size)


class _TorchFile:
    """An open file of `torch.save`: a pickle, and the storages of the tensors in it.

    What the file claims is compared with its own size before memory is taken.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.places: dict[str, _Place] = {}
        self.bytes_left = MOST_ALIASES * size
        self.byteorder = "little"
        self.read = cache(self._read)
        self.unpickler = Unpickler(self.tensor)

    def archive(self) -> Any:
        """The content of a zip archive, in which the pickle and each storage are entries."""
        with zipfile.ZipFile(_Frugal(self.file.fileno(), closefd=False)) as archive:
            entries = archive.infolist()
        names = [entry.filename for entry in entries]
        root = next((n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")), None)
        if root is None or f"{root}constants.pkl" in names:
            kind = f"an archive of {shown(names[:2])}" if root is None else "a TorchScript program"
            raise Refused(f"{kind}, expected a state dict that torch.save wrote")
        if any(entry.compress_type or entry.flag_bits & 1 for entry in entries):
            raise Refused("a compressed archive, expected one that torch.save wrote")
        if sum(entry.file_size for entry in entries) > self.size or len({*names}) < len(names):
            raise Refused("an archive whose entries overlap, expected one that torch.save wrote")
        for entry in entries:
            self.file.seek(entry.header_offset + 26)
            own = sum(struct.unpack("<HH", self.file.read(4)))  # a name, and more, before the data
            place = _Place(entry.header_offset + 30 + own, entry.file_size, entry.CRC)
            self.places[entry.filename.removeprefix(root).removeprefix("data/")] = place
        if "byteorder" in self.places:
            self.byteorder = self.read(self.places["byteorder"]).decode()
        return self.unpickler.load(io.BytesIO(self.read(self.places["data.pkl"])))

    def legacy(self) -> Any:
        """The content of an older file: the fourth of five pickles, before all storages."""
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            if self.unpickler.load(stream) != MAGIC:
                raise Refused("a pickle that torch.save did not write")
            _, _, content, keys = (self.unpickler.load(stream) for _ in range(4))
            start = stream.tell()
        for key in keys:
            storage = self.unpickler.storages[key]
            self.places[key] = _Place(start + 8, storage.numel * storage.dtype.itemsize)
            start = sum(self.places[key][:2])
        if start > self.size:
            raise Refused("cut off: its tensors claim more bytes than it has")
        return content

    def _read(self, place: _Place) -> bytearray:
        start, length, crc = place
        if start + length > self.size:
            raise Refused("lies beyond the end of the file")
        data = bytearray(length)
        self.file.seek(start)
        self.file.readinto(data)  # type: ignore[attr-defined]
        if crc and zlib.crc32(data) != crc:
            raise Refused("differs from its checksum: the file is damaged")
        return data

    def tensor(
        self, storage: Storage, dtype: torch.dtype, offset: int, size: tuple[int, ...],
        stride: tuple[int, ...], negated: bool,
    ) -> Tensor:  # fmt: skip
        """A tensor of a storage. Raises Refused for one that the file does not hold whole."""
        length, width = storage.numel * storage.dtype.itemsize, dtype.itemsize
        place = self.places.get(storage.key, _Place(0, 0))
        numel = prod(size)
        end = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        self.bytes_left -= numel * width * (MOST_ALIASES if negated else 1)
        fits = max(numel, end) * width <= length <= place.length
        if numel and not (fits and self.bytes_left >= 0):
            raise Refused(f"claims {numel} numbers, but the file holds fewer")
        if not numel:
            return torch.empty(size, dtype=dtype)
        data = torch.frombuffer(self.read(place), dtype=torch.uint8)[: length // width * width]
        if self.byteorder != byteorder:
            data = data.view(-1, width).flip(1).view(-1)
        tensor = data.view(dtype).as_strided(size, stride, offset)
        return tensor.neg() if negated else tensor
