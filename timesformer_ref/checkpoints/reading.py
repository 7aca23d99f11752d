"""Any form of checkpoint to weights by their original names."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timesformer_ref.checkpoints import hub, hugging_face, original
from timesformer_ref.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    CheckpointWarning,
    Form,
)
from timesformer_ref.checkpoints.geometry import check_weights, infer_config
from timesformer_ref.checkpoints.tensors import read_tensors
from timesformer_ref.initialise import resize_weights


def load_checkpoint(
    source: str | PathLike[str],
    *,
    num_frames: int | None = None,
    image_size: int | None = None,
    num_attention_heads: int | None = None,
) -> Checkpoint:
    """Read a checkpoint: an original file, a Hugging Face folder or hub id, or safetensors.

    The geometry comes from the tensors, whatever a file's name or config says; the number of heads,
    which no tensor tells, from `num_attention_heads`, else the config, else width / 64.
    num_frames, image_size: another clip length or frame size (pixels) than the file's; embeddings
    are resized as the original's loader does, with a CheckpointWarning.

    No code in a file ever runs. Raises CheckpointError, which names the file and the tensor, for
    anything that is not the whole checkpoint of one TimeSformer.
    """
    checkpoint = _read(_locate(source), num_attention_heads)
    config = checkpoint.config
    frames, size = num_frames or config.num_frames, image_size or config.image_size
    if (frames, size) == (config.num_frames, config.image_size):
        return checkpoint
    warnings.warn(
        f"{source}: trained for {config.num_frames} frames of {config.image_size} pixels, its "
        f"embeddings are resized for {frames} frames of {size} pixels",
        CheckpointWarning,
        stacklevel=2,
    )
    return _resize(checkpoint, frames, size)


def _locate(source: str | PathLike[str]) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    if hub.is_hub_id(str(source)):
        return hub.download(str(source))
    raise CheckpointError(f"{source}: no such file or folder, nor a hub id like owner/model")


def _read(path: Path, heads: int | None) -> Checkpoint:
    told: Mapping[str, Any]
    labels: tuple[str, ...] | None = None
    form: Form
    if path.is_dir():
        form = "Hugging Face"
        told, labels = hugging_face.read_config(path)
        preprocessing = hugging_face.read_preprocessing(path)
        weights = hugging_face.read_weights(path)
    elif path.suffix == ".safetensors":
        form = "safetensors"
        weights, metadata = read_tensors(path)
        told, labels, preprocessing = _read_metadata(path, metadata)
    else:
        form = "original"
        weights, rest = read_tensors(path)
        told, preprocessing = original.read_cfg(rest.get("cfg"))
    told = {**told, **({"num_attention_heads": heads} if heads else {})}
    return _checked(path, hugging_face.rename_from_hugging_face(weights), told, labels,
                    preprocessing, form)  # fmt: skip


def _checked(
    path: Path,
    weights: dict[str, Tensor],
    told: Mapping[str, Any],
    labels: tuple[str, ...] | None,
    preprocessing: dict[str, Any],
    form: Form,
) -> Checkpoint:
    config = infer_config(path, weights, told)
    check_weights(path, weights, config)
    if labels and len(labels) != config.num_labels:
        raise CheckpointError(
            f"{path}: names {len(labels)} classes, but head.weight has {config.num_labels}"
        )
    return Checkpoint(config, weights, labels, preprocessing, form)


def _read_metadata(
    path: Path, metadata: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...] | None, dict[str, Any]]:
    """What we write beside the tensors of a safetensors file; others write other things."""
    try:
        told = json.loads(metadata.get("config", "{}"))
        labels = json.loads(metadata.get("labels", "null"))
        preprocessing = json.loads(metadata.get("preprocessing", "{}"))
    except ValueError as error:
        raise CheckpointError(f"{path}: its metadata are not JSON ({error})") from error
    for name in ("mean", "std"):
        if name in preprocessing:
            preprocessing[name] = tuple(preprocessing[name])
    return told, tuple(labels) if labels else None, preprocessing


def _resize(checkpoint: Checkpoint, num_frames: int, image_size: int) -> Checkpoint:
    tables: dict[str, np.ndarray] = {
        name: checkpoint.weights[name].double().numpy()
        for name in ("pos_embed", "time_embed")
        if name in checkpoint.weights
    }
    try:
        resized, config = resize_weights(tables, checkpoint.config, num_frames, image_size)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    weights = dict(checkpoint.weights)
    for name, table in resized.items():
        weights[name] = torch.from_numpy(table).to(weights[name].dtype)
    preprocessing = {k: v for k, v in checkpoint.preprocessing.items() if k not in _SIZES}
    return replace(checkpoint, config=config, weights=weights, preprocessing=preprocessing)


_SIZES = ("num_frames", "crop", "single_crop_scale")
