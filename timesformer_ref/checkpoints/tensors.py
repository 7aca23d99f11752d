"""Open tensor files of any kind, known by their content, without running any code in them."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from math import prod
from pathlib import Path
from sys import byteorder
from typing import IO, Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError, Form
from timesformer_ref.checkpoints.pickled import Lazy, Refused, Storage, Unpickler
from timesformer_ref.config import shown

MAGIC = 0x1950A86A20F9469CFC6C
"""The first value in a file that `torch.save` wrote before PyTorch 1.6."""

MOST_ALIASES = 64
"""How many times its size a file's tensors may have, since layers may share their weights."""


class Content(NamedTuple):
    """What a file holds: tensors by name, each a `Lazy`, possibly nested; and what it states."""

    values: Mapping[Any, Any]
    stated: Mapping[Any, Any]
    form: Form


@contextmanager
def open_tensors(path: Path) -> Iterator[Content]:
    """What a tensor file holds; its tensors can be read until it is closed.

    Raises CheckpointError for a file that is no tensor file, is cut off, or holds code.
    """
    try:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        with path.open("rb") as file:
            start = file.read(64)
            if start[4:9] == b"\0\0\0\0{":  # the length of a header, and the header
                yield _open_safetensors(path)
            elif start.startswith((b"PK\3\4", b"\x80")):
                content = _open_torch(path, file)
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
        return f"a text file ({start[:24].decode()!r} …), not a checkpoint"
    return "cut off, or neither a PyTorch checkpoint nor a safetensors file"


def _open_safetensors(path: Path) -> Content:
    try:
        file = cast("Any", safe_open)(path, "pt")
        tensors = {name: Lazy(partial(file.get_tensor, name)) for name in file.keys()}  # noqa: SIM118
        return Content(tensors, file.metadata() or {}, "safetensors")
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: a safetensors file that is cut off or damaged ({error})"
        ) from error


def _open_torch(path: Path, file: IO[bytes]) -> Mapping[Any, Any]:
    """The content of a file of `torch.save`."""
    try:
        content = _TorchFile(file, path.stat().st_size).content()
    except (OSError, MemoryError):
        raise
    except Refused as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # a damaged archive or pickle has a dozen
        raise CheckpointError(
            f"{path}: cut off, damaged, or an archive or pickle that torch.save did not write"
        ) from error
    if not isinstance(content, dict):
        kind = "Tensor" if isinstance(content, Lazy) else type(content).__name__
        raise CheckpointError(f"{path}: holds a {kind}, not weights by name (a state dict)")
    return content


class _Place(NamedTuple):
    """Where bytes lie in a file; `crc` is their checksum, or 0 for none."""

    start: int
    length: int
    crc: int = 0


class _TorchFile:
    """An open file of `torch.save`: a pickle, and the storages of the tensors in it.

    Every size that the file claims is compared with its own before memory is taken.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.places: dict[str, _Place] = {}
        self.byteorder = "little"
        self.bytes_left = MOST_ALIASES * size
        self.read = cache(self.read_place)
        self.unpickler = Unpickler(self.tensor)

    def content(self) -> Any:
        """What was saved, with each tensor `Lazy`."""
        self.file.seek(0)
        return self.of_archive() if self.file.read(2) == b"PK" else self.of_legacy()

    def of_archive(self) -> Any:
        """A zip archive has the pickle and each storage as entries, not compressed."""
        with zipfile.ZipFile(self.file) as archive:
            entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if any(entry.compress_type or entry.flag_bits & 1 for entry in entries):
            raise Refused("a compressed archive, expected one that torch.save wrote")
        if sum(entry.file_size for entry in entries) > self.size or len({*names}) < len(names):
            raise Refused("an archive whose entries overlap, expected one that torch.save wrote")
        root = next((n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")), None)
        if root is None:
            raise Refused(f"an archive of {shown(names[:3])}, expected one that torch.save wrote")
        if f"{root}constants.pkl" in names:
            raise Refused("a TorchScript program, expected its state dict")
        records = {e.filename.removeprefix(root): self.place(e) for e in entries}
        self.places = {name.removeprefix("data/"): place for name, place in records.items()}
        if "byteorder" in records:
            self.byteorder = self.read(records["byteorder"]).decode()
        return self.unpickler.load(io.BytesIO(self.read(records["data.pkl"])))

    def place(self, entry: zipfile.ZipInfo) -> _Place:
        """The place of an entry, behind its header and a name and more whose lengths that has."""
        self.file.seek(entry.header_offset + 26)
        name, more = struct.unpack("<HH", self.file.read(4))
        return _Place(entry.header_offset + 30 + name + more, entry.file_size, entry.CRC)

    def of_legacy(self) -> Any:
        """Five pickles, the fourth of the content, then each storage's length and numbers."""
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            if (magic := self.unpickler.load(stream)) != MAGIC:
                raise Refused(
                    f"the pickle of a {type(magic).__name__} that torch.save did not write"
                )
            _, _, content, keys = (self.unpickler.load(stream) for _ in range(4))
            start = stream.tell()
        for key in keys:
            storage = self.unpickler.storages[key]
            length = storage.numel * storage.dtype.itemsize
            self.places[key] = _Place(start + 8, length)
            start += 8 + length
        if start > self.size:
            raise Refused("cut off: its storages are larger than the file")
        return content

    def read_place(self, place: _Place) -> bytearray:
        """The bytes at a place."""
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
        length = storage.numel * storage.dtype.itemsize
        place = self.places.get(storage.key, _Place(0, 0))
        numel = prod(size)
        end = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        self.bytes_left -= numel * dtype.itemsize * (MOST_ALIASES if negated else 1)
        fits = max(numel, end) * dtype.itemsize <= length <= place.length
        if numel and not (fits and self.bytes_left >= 0):
            raise Refused(f"claims {numel} numbers, but the file holds fewer")
        if not numel:
            return torch.empty(size, dtype=dtype)
        data = torch.frombuffer(self.read(place), dtype=torch.uint8)
        data = data[: length // dtype.itemsize * dtype.itemsize]
        if self.byteorder != byteorder:
            data = data.view(-1, dtype.itemsize).flip(1).view(-1)
        tensor = data.view(dtype).as_strided(size, stride, offset)
        return tensor.neg() if negated else tensor
