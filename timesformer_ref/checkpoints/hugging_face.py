"""The Hugging Face form: a folder with `config.json`, and other names for the same weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.notes import KEY, Metadata, known_preprocessing
from timesformer_ref.checkpoints.tensors import read_tensors
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.weights import weight_table

CONFIG = "config.json"

PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
"""Files with the preprocessing: as published, and as `transformers` 5 writes it for videos."""

MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
"""In order of preference; each also comes sharded, with an index."""

SCHEMES = ("space_only", "joint_space_time", "divided_space_time")
"""The attention schemes of `transformers`."""


def rename_from_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by their original names; names of the original, and unknown ones, stay."""
    numbers = {int(m[1]) for name in weights if (m := re.search(r"\.layer\.(\d{1,6})\.", name))}
    # Divided attention has every weight that the library's other schemes have.
    largest = TimeSformerConfig(num_hidden_layers=max(1, len(numbers)))
    names = {weight.hugging_face: name for name, weight in weight_table(largest).items()}
    return {names.get(name, name): weight for name, weight in weights.items()}


def rename_to_hugging_face(
    weights: Mapping[str, Tensor], config: TimeSformerConfig
) -> dict[str, Tensor]:
    """The weights by the names of `TimesformerForVideoClassification`."""
    table = weight_table(config)
    return {table[name].hugging_face: weight for name, weight in weights.items()}


def read_metadata(folder: Path) -> Metadata:
    """The metadata in a folder's config files.

    Raises CheckpointError where there is no `config.json`, and for another model's.
    """
    config = read_config(folder)
    labels = _labels(folder / CONFIG, config.get("id2label"))
    return Metadata(config, labels, read_preprocessing(folder))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected an object")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a folder's `config.json`. Raises CheckpointError for another model's."""
    path = folder / CONFIG
    if not path.is_file():
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise CheckpointError(f"{folder}: a folder without {CONFIG} is no model (it holds {held})")
    stated = read_json(path)
    if stated.get("model_type", "timesformer") != "timesformer":
        raise CheckpointError(
            f"{path}: describes another model, model_type {stated['model_type']!r}, "
            "expected 'timesformer'"
        )
    if stated.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            f"{path}: hidden_act {stated['hidden_act']!r}, but a TimeSformer has the exact 'gelu'"
        )
    if isinstance(stated.get("drop_path_rate"), int):  # whole, as the library asks
        stated["drop_path_rate"] = float(stated["drop_path_rate"])
    return stated


def _labels(path: Path, id2label: object) -> tuple[str, ...] | None:
    """The names of the classes, where they are more than the library's placeholders."""
    if not isinstance(id2label, dict) or not id2label:
        return None
    try:
        by_index = {int(index): str(label) for index, label in id2label.items()}
        labels = tuple(by_index[i] for i in range(len(by_index)))
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: id2label does not name the classes 0 to {len(id2label) - 1}"
        ) from error
    placeholders = tuple(f"LABEL_{i}" for i in range(len(labels)))
    return None if labels == placeholders else labels


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """The preprocessing in a folder's processor config; empty if there is none."""
    path = next((folder / name for name in PROCESSORS if (folder / name).is_file()), None)
    if path is None:
        return {}
    stated = read_json(path)
    found = {field: stated[key] for field, key in _NUMBERS.items() if key in stated}
    crop, note = stated.get("crop_size"), stated.get(KEY)
    if isinstance(crop, dict) and "height" in crop:
        found["crop"] = crop["height"]
    return known_preprocessing(path, found | (note if isinstance(note, dict) else {}))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's model file, or of its shards, under their names in the file.

    Raises CheckpointError where there is no model file, or where a shard is missing.
    """
    for name in MODEL_FILES:
        if (folder / name).is_file():
            return read_tensors(folder / name)[0]
        index = folder / f"{name}.index.json"
        if index.is_file():
            weights: dict[str, Tensor] = {}
            for shard in shards(index):
                weights |= read_tensors(folder / shard)[0]
            return weights
    held = ", ".join(sorted(p.name for p in folder.iterdir())[:5])
    raise CheckpointError(
        f"{folder}: a folder without {' or '.join(MODEL_FILES)}, whole or sharded (it holds {held})"
    )


def shards(index: Path) -> list[str]:
    """The files that an index names. Raises CheckpointError for a name that leaves the folder."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no weight_map")
    names = sorted(set(map(str, weight_map.values())))
    for name in names:
        if name in ("", "..") or Path(name).name != name:
            raise CheckpointError(f"{index}: names the shard {name!r}, expected a plain file name")
    return names


_NUMBERS = {"mean": "image_mean", "std": "image_std"}


def config_json(config: TimeSformerConfig, labels: tuple[str, ...] | None) -> dict[str, Any]:
    """The content of `config.json`; its `drop_path_rate` must be a whole number there."""
    names = labels or tuple(f"LABEL_{i}" for i in range(config.num_labels))
    fields = asdict(replace(config, drop_path_rate=0.0))
    del fields["num_labels"]  # given by the labels
    return {
        "architectures": ["TimesformerForVideoClassification"],
        "model_type": "timesformer",
        **fields,
        "drop_path_rate": 0,
        "hidden_act": "gelu",
        "initializer_range": 0.02,
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }


def preprocessor_json(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `preprocessor_config.json`; what the library lacks goes under our own key."""
    content: dict[str, Any] = {"image_processor_type": "VideoMAEImageProcessor"}
    content |= {key: preprocessing[f] for f, key in _NUMBERS.items() if f in preprocessing}
    if crop := preprocessing.get("crop"):
        content["crop_size"] = {"height": crop, "width": crop}
        content["size"] = {"shortest_edge": crop}
    content[KEY] = {k: v for k, v in preprocessing.items() if k not in (*_NUMBERS, "crop")}
    return content
