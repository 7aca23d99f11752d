"""The Hugging Face form: a folder with `config.json`, and other names for the same weights."""

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.notes import Metadata, read_json
from timesformer_ref.checkpoints.processors import PROCESSORS as PROCESSORS
from timesformer_ref.checkpoints.processors import read_preprocessing
from timesformer_ref.checkpoints.tensors import Content, open_tensors
from timesformer_ref.config import TimeSformerConfig, shown
from timesformer_ref.weights import weight_table

CONFIG = "config.json"

MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
"""In order of preference; each also comes sharded, with an index."""

SCHEMES = ("space_only", "joint_space_time", "divided_space_time")
"""The attention schemes of `transformers`."""


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
    path = folder / CONFIG
    if not path.is_file():
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise CheckpointError(f"{folder}: a folder without {CONFIG} is no model (it holds {held})")
    stated = read_json(path)
    if stated.get("model_type", "timesformer") != "timesformer":
        raise CheckpointError(
            f"{path}: describes another model, model_type {shown(stated['model_type'])}, "
            "expected 'timesformer'"
        )
    if stated.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            f"{path}: hidden_act {shown(stated['hidden_act'])}, but a TimeSformer has 'gelu', exact"
        )
    if stated.get("drop_path_rate") == 0:  # whole, as the library asks
        stated["drop_path_rate"] = 0.0
    return Metadata(stated, _labels(path, stated.get("id2label")), read_preprocessing(folder))


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


@contextmanager
def open_folder(folder: Path) -> Iterator[Content]:
    """What a folder's model file holds, or all of its shards together, until it is closed.

    Raises CheckpointError where there is no model file, or where a shard is missing.
    """
    for name in MODEL_FILES:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file() or index.is_file():
            files = [name] if (folder / name).is_file() else shards(index)
            with ExitStack() as stack:
                opened = [stack.enter_context(open_tensors(folder / file)) for file in files]
                names = Counter(chain.from_iterable(content.values for content in opened))
                if twice := [name for name, times in names.items() if times > 1]:
                    raise CheckpointError(f"{index}: {twice[0]} is in two shards")
                values = dict(ChainMap(*(dict(content.values) for content in opened)))
                yield Content(values, {}, "Hugging Face")
            return
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
        if name in ("", "..") or Path(name).name != name or len(name) > 255:
            raise CheckpointError(
                f"{index}: names the shard {shown(name)}, expected a plain file name"
            )
    return names


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
