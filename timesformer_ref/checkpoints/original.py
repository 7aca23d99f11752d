"""The original form: `torch.save` of a dict with `model_state`, `cfg` and more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from torch import Tensor

from timesformer_ref.config import TimeSformerConfig


def content(
    weights: Mapping[str, Tensor], config: TimeSformerConfig, preprocessing: Mapping[str, Any]
) -> dict[str, Any]:
    """What `torch.save` is to write. The original's `cfg` has no key for heads; ours is `HEADS`."""
    data: dict[str, Any] = {
        "NUM_FRAMES": config.num_frames,
        "TRAIN_CROP_SIZE": config.image_size,
        "INPUT_CHANNEL_NUM": [config.num_channels],
    }
    for field, key in _DATA.items():
        if preprocessing.get(field) is not None:
            data[key] = json.loads(json.dumps(preprocessing[field]))  # tuples to lists
    cfg = {
        "DATA": data,
        "MODEL": {"ARCH": "vit", "NUM_CLASSES": config.num_labels},
        "TIMESFORMER": {
            "ATTENTION_TYPE": config.attention_type,
            "HEADS": config.num_attention_heads,
        },
    }
    if "sampling_rate" in preprocessing and preprocessing["sampling_rate"] is None:
        cfg["TEST"] = {"DATASET": "ssv2"}
    return {
        "epoch": 0,
        "model_state": {f"model.{name}": weight for name, weight in weights.items()},
        "optimizer_state": {},
        "cfg": yaml.safe_dump(cfg, sort_keys=False),
    }


_DATA = {
    "mean": "MEAN",
    "std": "STD",
    "crop": "TEST_CROP_SIZE",
    "sampling_rate": "SAMPLING_RATE",
}


def read_cfg(cfg: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file's `cfg` tells: fields of the model's config, and of its preprocessing.

    cfg: YAML text or a dict; anything else tells nothing, and so does what has another form than
    the original's configs.
    """
    if isinstance(cfg, str):
        try:
            cfg = yaml.safe_load(cfg)
        except yaml.YAMLError:
            return {}, {}
    data, model = _section(cfg, "DATA"), _section(cfg, "TIMESFORMER")
    told = {"num_attention_heads": model["HEADS"]} if isinstance(model.get("HEADS"), int) else {}
    if isinstance(data.get("NUM_FRAMES"), int):
        told["num_frames"] = data["NUM_FRAMES"]
    preprocessing: dict[str, Any] = {
        field: tuple(data[key]) if isinstance(data[key], list) else data[key]
        for field, key in _DATA.items()
        if key in data
    }
    if "ssv2" in (_section(cfg, part).get("DATASET") for part in ("TRAIN", "TEST")):
        # Its frames are read by OpenCV, one from each segment of the video.
        preprocessing |= {"sampling_rate": None, "channel_order": "bgr"}
    return told, preprocessing


def _section(cfg: object, name: str) -> dict[str, Any]:
    section = cfg.get(name) if isinstance(cfg, dict) else None
    return section if isinstance(section, dict) else {}
