"""Read any form of checkpoint to weights under their original names."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from timesformer_ref import default_model
from timesformer_ref.atomic import recover
from timesformer_ref.checkpoints import hugging_face
from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError, warn
from timesformer_ref.checkpoints.geometry import check, infer_config
from timesformer_ref.checkpoints.initialise import resize_weights
from timesformer_ref.checkpoints.names import find_weights
from timesformer_ref.checkpoints.notes import KEY, Metadata, read_note
from timesformer_ref.checkpoints.tensors import open_tensors


def load_checkpoint(
    source: str | PathLike[str],
    *,
    num_frames: int | None = None,
    image_size: int | None = None,
    num_attention_heads: int | None = None,
) -> Checkpoint:
    """Read a checkpoint: an original file, a Hugging Face folder or hub id, or safetensors.

    `camera-motion` is the small model that comes with the package (`default_model`).
    The geometry comes from the tensors, whatever a file's name or config says; the number of heads,
    which no tensor shows, from `num_attention_heads`, else the config, else width / 64.
    num_frames, image_size: another clip length or frame size (pixels) than the file's; embeddings
    are resized as the original's loader does, with a CheckpointWarning.

    No code in a file ever runs. Raises CheckpointError, which names the file and the tensor, for
    anything that is not the whole checkpoint of one TimeSformer.
    """
    checkpoint = read_unchecked(source, num_attention_heads)
    check(source, checkpoint)
    config = checkpoint.config
    frames = config.num_frames if num_frames is None else num_frames
    size = config.image_size if image_size is None else image_size
    if (frames, size) == (config.num_frames, config.image_size):
        return checkpoint
    try:
        weights, resized = resize_weights(checkpoint.weights, config, frames, size)
    except ValueError as error:
        raise CheckpointError(f"{source}: cannot be resized: {error}") from error
    warn(
        f"{source}: trained for {config.num_frames} frames of {config.image_size} pixels, its "
        f"embeddings were resized for {frames} frames of {size} pixels"
    )
    sizes = ("num_frames", "crop", "single_crop_scale")
    preprocessing = {k: v for k, v in checkpoint.preprocessing.items() if k not in sizes}
    return replace(checkpoint, config=resized, weights=weights, preprocessing=preprocessing)


def _locate(source: str | PathLike[str]) -> Path:
    if not str(source):
        raise CheckpointError("the name of the checkpoint is empty")
    path = Path(os.path.expanduser(source))
    if not os.path.exists(path):
        recover(path)  # a folder whose writer died between the old one and the new one
    if os.path.exists(path):
        return path
    if str(source) == default_model.NAME:
        return default_model.FILE
    if is_hub_id(str(source)):
        from timesformer_ref.checkpoints.hub import download  # its client is slow to import

        return download(str(source))
    raise CheckpointError(
        f"{source}: no such file or folder, nor {default_model.NAME}, nor a hub id like owner/model"
    )


def is_hub_id(source: str) -> bool:
    """Whether a name has the form `owner/name` and no ending of a file."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source)) and not re.search(
        r"\.(pyth?|pt|pth|bin|safetensors)$", source
    )


def read_unchecked(source: str | PathLike[str], heads: int | None = None) -> Checkpoint:
    """A checkpoint whose tensors may be missing, of the wrong shape, or not finite.

    Raises CheckpointError for a file that is no TimeSformer's at all.
    """
    path = _locate(source)
    stated = hugging_face.read_metadata(path) if path.is_dir() else None
    with hugging_face.open_folder(path) if path.is_dir() else open_tensors(path) as content:
        weights = find_weights(path, content.values)
    stated = stated or _metadata(path, content.stated)
    config_stated = {**stated.config, **({} if heads is None else {"num_attention_heads": heads})}
    if not weights.keys() & {"head.weight", "head.bias"}:
        weights |= _no_classifier(path, weights, stated.labels)
    config = infer_config(path, weights, config_stated)
    return Checkpoint(config, weights, stated.labels, stated.preprocessing, content.form)


def _no_classifier(
    path: Path, weights: Mapping[str, Tensor], labels: tuple[str, ...] | None
) -> dict[str, Tensor]:
    """A classifier of zeros, for a backbone alone, which has features and can be trained."""
    warn(f"{path}: has no classifier, so all classes score the same: train one or take features")
    cls_token = weights.get("cls_token", torch.zeros(1))
    classes = len(labels or ("",))
    head = cls_token.new_zeros(classes, cls_token.shape[-1])
    return {"head.weight": head, "head.bias": head.new_zeros(classes)}


def _metadata(path: Path, rest: Mapping[str, Any]) -> Metadata:
    """The metadata in a single file, or in the config that lies beside it."""
    if KEY in rest:
        return read_note(path, rest[KEY])
    if path.name in hugging_face.MODEL_FILES and (path.parent / hugging_face.CONFIG).is_file():
        return hugging_face.read_metadata(path.parent)
    from timesformer_ref.checkpoints import original  # YAML, which other forms do without

    return original.read_cfg(path, rest.get("cfg"))
