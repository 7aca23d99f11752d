"""The Hugging Face form: a folder with `config.json`, and other names for the same weights."""

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import CheckpointError, warn
from timesformer_ref.checkpoints.notes import KEY, Metadata, known_preprocessing, read_json
from timesformer_ref.checkpoints.tensors import Content, open_tensors
from timesformer_ref.config import TimeSformerConfig, is_number, shown
from timesformer_ref.weights import weight_table

CONFIG = "config.json"

MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
"""In order of preference; each also comes sharded, with an index."""

SCHEMES = ("space_only", "joint_space_time", "divided_space_time")
"""The attention schemes of `transformers`."""

PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
"""Files with the preprocessing: as published, and as `transformers` 5 writes it for videos."""

NUMBERS = {"mean": "image_mean", "std": "image_std"}
"""Where they have the fields of `Preprocessing` of these names."""

FIXED = {
    "do_resize": (True,), "do_center_crop": (True,), "resample": (2, "bilinear"),
    "do_sample_frames": (False,), "do_flip_channel_order": (False,), "do_grayscale": (False,),
    "do_pad": (False,), "offset": (False,),
}  # fmt: skip
"""What changes the input in `transformers` and is always so here."""


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


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """The preprocessing in a folder's processor config; empty if there is none.

    What is stated and cannot be followed is named by a CheckpointWarning.
    """
    path = next((folder / name for name in PROCESSORS if (folder / name).is_file()), None)
    if path is None:
        return {}
    stated = {key: value for key, value in read_json(path).items() if value is not None}
    found = {field: stated[key] for field, key in NUMBERS.items() if key in stated}
    if stated.get("do_normalize") is False:
        channels = len(found["mean"]) if isinstance(found.get("mean"), list) else 3
        found |= {"mean": [0.0] * channels, "std": [1.0] * channels}
    ignored = [k for k, values in FIXED.items() if stated.get(k, values[0]) not in values]
    size, crop = stated.get("size"), stated.get("crop_size")
    if crop is not None:
        found["crop"] = _side(crop, "height", "width")
    if size is not None and (shorter := _side(size, "shortest_edge")) != found.get("crop"):
        if is_number(shorter) and is_number(found.get("crop")) and shorter > found["crop"]:
            found["single_crop_scale"] = shorter
        else:
            ignored.append("size")
    note = stated.get(KEY)
    known = known_preprocessing(path, found | (note if isinstance(note, dict) else {}))
    if (scale := _white(stated)) != 1:
        if scale and known.keys() >= NUMBERS.keys():
            known |= {field: tuple(n / scale for n in known[field]) for field in NUMBERS}
        else:
            ignored += stated.keys() & {"do_rescale", "rescale_factor"}
    for key in ignored:
        warn(f"{path}: states {key} {shown(stated[key])}, which is not followed")
    return known


def _side(size: Any, *names: str) -> Any:
    """The number in a size: in old files whole, else under these names, where it is the same."""
    sides = [size[name] for name in names if name in size] if isinstance(size, dict) else [size]
    return sides[0] if sides and sides.count(sides[0]) == len(sides) else size


def _white(stated: Mapping[str, Any]) -> float | None:
    """The number that white becomes before normalisation, 1 here; None for an impossible one."""
    factor = stated.get("rescale_factor", 1 / 255) if stated.get("do_rescale", True) else 1
    if not is_number(factor) or not 1e-6 < factor < 1e6:
        return None
    return 1 if abs(255 * factor - 1) < 1e-6 else float(255 * factor)


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


def preprocessor_json(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `preprocessor_config.json`; what the library lacks goes under our own key."""
    content: dict[str, Any] = {"image_processor_type": "VideoMAEImageProcessor"}
    content |= {key: preprocessing[f] for f, key in NUMBERS.items() if f in preprocessing}
    if crop := preprocessing.get("crop"):
        content["crop_size"] = {"height": crop, "width": crop}
        content["size"] = {"shortest_edge": crop}
    content[KEY] = {k: v for k, v in preprocessing.items() if k not in (*NUMBERS, "crop")}
    return content
