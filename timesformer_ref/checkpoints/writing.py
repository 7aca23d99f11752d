"""Write a checkpoint in any form, atomically."""

import json
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from timesformer_ref.atomic import whole_file, whole_folder
from timesformer_ref.checkpoints import hugging_face
from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError, warn
from timesformer_ref.checkpoints.geometry import check, type_names
from timesformer_ref.checkpoints.notes import KEY, write_note
from timesformer_ref.endings import CHECKPOINTS


def save_checkpoint(checkpoint: Checkpoint, target: str | PathLike[str]) -> Path:
    """Write a checkpoint in the form that the target's ending means (`endings.CHECKPOINTS`).

    The file or folder appears whole, in place of an earlier one, or not at all.
    Raises CheckpointError for what that form cannot hold, for weights that do not fit the config,
    and where a folder would replace files that are no model's.
    Warns (CheckpointWarning) of what the form cannot hold exactly.
    """
    path = Path(target)
    if path.suffix not in CHECKPOINTS:
        raise CheckpointError(
            f"{path}: the ending {path.suffix!r} means no form: use .pyth or .pth for the "
            "original's, .safetensors, or a name without ending for a Hugging Face folder"
        )
    check(path, checkpoint)
    write = _write_folder if CHECKPOINTS[path.suffix] == "Hugging Face" else _write_file
    try:
        write(checkpoint, path)
    except OSError as error:
        raise CheckpointError(str(error)) from error
    return path


def _write_file(checkpoint: Checkpoint, path: Path) -> None:
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder, expected the name of a file")
    with whole_file(path) as unfinished:
        if CHECKPOINTS[path.suffix] == "safetensors":
            metadata = {"format": "pt", KEY: write_note(checkpoint)}
            save_file(_apart(checkpoint.weights), unfinished, metadata)
        else:
            from timesformer_ref.checkpoints import original  # YAML, which others do without

            with unfinished.open("wb") as file:
                torch.save(original.content(checkpoint), file)


def _write_folder(checkpoint: Checkpoint, path: Path) -> None:
    config = checkpoint.config
    if config.attention_type not in hugging_face.SCHEMES:
        raise CheckpointError(
            f"{path}: the Hugging Face form has no {config.attention_type}, only "
            f"{', '.join(hugging_face.SCHEMES)}: write .pyth or .safetensors"
        )
    if config.drop_path_rate % 1:
        warn(
            f"{path}: the Hugging Face form takes whole numbers for drop_path_rate, so "
            f"{config.drop_path_rate} is written as 0 (it matters in training only)"
        )
    if half := {w.dtype for w in checkpoint.weights.values()} & {torch.float16, torch.bfloat16}:
        warn(
            f"{path}: holds {type_names(*half)}, in which transformers will compute, and fail for "
            "clips of float32: load it there with from_pretrained(…, dtype=torch.float32)"
        )
    weights = hugging_face.rename_to_hugging_face(checkpoint.weights, config)
    _check_folder(path)
    with whole_folder(path) as unfinished:
        save_file(_apart(weights), unfinished / "model.safetensors", {"format": "pt"})
        files = {hugging_face.CONFIG: hugging_face.config_json(config, checkpoint.labels)}
        if stated := checkpoint.preprocessing:
            files[hugging_face.PROCESSORS[0]] = hugging_face.preprocessor_json(stated)
        for name, content in files.items():
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (unfinished / name).write_text(text + "\n", encoding="utf-8")


def rounded(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    """A checkpoint with its weights in another type. Raises CheckpointError where they overflow."""
    weights = {name: weight.to(dtype) for name, weight in checkpoint.weights.items()}
    for name, weight in checkpoint.weights.items():
        if weight.isfinite().all() and not weights[name].isfinite().all():
            raise CheckpointError(f"{name}: has values beyond {type_names(dtype)}: use a wider one")
    return replace(checkpoint, weights=weights)


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, copied where two share memory, as safetensors requires."""
    seen: set[int] = set()
    apart = {}
    for name, weight in weights.items():
        storage = weight.untyped_storage()
        shared = storage.data_ptr() in seen or storage.nbytes() > weight.nbytes
        seen.add(storage.data_ptr())
        plain = weight.contiguous()
        apart[name] = plain.clone() if shared and plain is weight else plain
    return apart


def _check_folder(path: Path) -> None:
    """Refuse to replace anything but an earlier model."""
    ours = {"model.safetensors", hugging_face.CONFIG, *hugging_face.PROCESSORS}
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path}: is a file, expected the name of a folder")
    if path.is_dir() and (others := {p.name for p in path.iterdir()} - ours):
        raise CheckpointError(
            f"{path}: already holds {', '.join(sorted(others)[:3])}, which a model would replace: "
            "choose another folder"
        )
