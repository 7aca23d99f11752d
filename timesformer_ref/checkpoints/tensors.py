"""Read tensor files without running any code in them."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError

CONTAINERS = ("model_state", "state_dict", "model")
"""The keys under which files keep their weights; without one, the whole file is the weights."""

PREFIXES = ("module.", "model.")
"""Prefixes that wrappers put before the original's names."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file by name, without wrappers' prefixes, and what else it holds.

    Raises CheckpointError for a file that is no tensor file, is cut off, or holds code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = _read_torch(path)
    state = next((content[key] for key in CONTAINERS if key in content), content)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: holds a {type(state).__name__} where weights should be")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        held = ", ".join(map(repr, list(content)[:6])) or "nothing"
        raise CheckpointError(
            f"{path}: no weights under {', '.join(CONTAINERS)} or at the top, which holds {held}"
        )
    for name, tensor in tensors.items():
        _check_storage(path, name, tensor)
    rest = {key: value for key, value in content.items() if key not in (*CONTAINERS, *tensors)}
    return _unwrap(path, tensors), rest


def _read_torch(path: Path) -> Mapping[Any, Any]:
    try:
        if zipfile.is_zipfile(path):
            _refuse_compressed(path)
        with warnings.catch_warnings(action="ignore"):  # of odd files, which are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        if code := re.search(r"GLOBAL (\S+)|global (\S+)|class (\S+)", str(error)):
            name = next(filter(None, code.groups()))
            raise CheckpointError(
                f"{path}: holds {name} beside tensors; reading it would run code, so it is "
                "refused: save the state dict alone"
            ) from error
        raise CheckpointError(f"{path}: {_what_it_is(path)}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # torch reports a broken archive in a dozen ways
        raise CheckpointError(f"{path}: {_what_it_is(path)}") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, not weights by name (a state dict)"
        )
    return content


def _refuse_compressed(path: Path) -> None:
    """Refuse compressed archives, which PyTorch never writes: a small one could fill the memory."""
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(entry.file_size for entry in archive.infolist())
    if unfolded > path.stat().st_size:
        raise CheckpointError(f"{path}: a compressed archive, expected one that torch.save wrote")


def _what_it_is(path: Path) -> str:
    """A guess why PyTorch cannot read a file, for its error message."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith((b"PK", b"\x80")):
        return "cut off, damaged, or an archive or pickle that torch.save did not write"
    if start.isascii() and (b"\n" in start or start.decode().isprintable()):
        return f"a text file ({start[:24].decode()!r} …), not a PyTorch checkpoint"
    return "not a PyTorch checkpoint (.pyth, .pth, .pt, .bin) nor a .safetensors file"


def _check_storage(path: Path, name: object, tensor: Tensor) -> None:
    """Refuse a tensor that claims more numbers than the file holds."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise CheckpointError(
            f"{path}: tensor {name} is sparse, quantised or empty, expected plain numbers"
        )
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise CheckpointError(
            f"{path}: tensor {name} claims {tensor.numel()} numbers, but the file holds fewer"
        )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return _unwrap(path, tensors), dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: no safetensors file, or one that is cut off ({error})"
        ) from error


def _unwrap(path: Path, tensors: Mapping[Any, Tensor]) -> dict[str, Tensor]:
    unwrapped: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise CheckpointError(f"{path}: a weight is named {name!r}, expected text")
        plain = re.sub(rf"^({'|'.join(map(re.escape, PREFIXES))})+", "", name)
        if plain in unwrapped:
            raise CheckpointError(f"{path}: {plain} is there twice, also as {name}")
        unwrapped[plain] = tensor.detach()
    return unwrapped
