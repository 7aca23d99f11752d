"""The original form: `torch.save` of a dict with `model_state`, `cfg` and more."""

from typing import Any

import yaml

from timesformer_ref.checkpoints import notes
from timesformer_ref.checkpoints.checkpoint import Checkpoint

_DATA = {"mean": "MEAN", "std": "STD", "crop": "TEST_CROP_SIZE", "sampling_rate": "SAMPLING_RATE"}
"""Where the original's config has the fields of `Preprocessing`."""


MOST_YAML = 2**16
MOST_BRACKETS = 500
"""The most characters and brackets of a `cfg` that is read (the original's have 4,000 and none):
PyYAML takes time with the square of brackets in brackets."""


class _Loader(yaml.SafeLoader):
    """The safe loader without merges, which may repeat a long mapping many times."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing."""


def content(checkpoint: Checkpoint) -> dict[str, Any]:
    """The dict to save: what the original reads, and our note of what it lacks."""
    config, preprocessing = checkpoint.config, checkpoint.preprocessing
    data: dict[str, Any] = {
        "NUM_FRAMES": config.num_frames,
        "TRAIN_CROP_SIZE": config.image_size,
        "INPUT_CHANNEL_NUM": [config.num_channels],
    }
    for field, key in _DATA.items():
        if (value := preprocessing.get(field)) is not None:
            data[key] = list(value) if isinstance(value, tuple) else value
    cfg: dict[str, Any] = {
        "DATA": data,
        "MODEL": {"ARCH": "vit", "NUM_CLASSES": config.num_labels},
        "TIMESFORMER": {"ATTENTION_TYPE": config.attention_type},
    }
    if "sampling_rate" in preprocessing and preprocessing["sampling_rate"] is None:
        cfg["TEST"] = {"DATASET": "ssv2"}
    return {
        "epoch": 0,
        "model_state": {f"model.{name}": weight for name, weight in checkpoint.weights.items()},
        "optimizer_state": {},
        "cfg": yaml.safe_dump(cfg, sort_keys=False),
        notes.KEY: notes.write_note(checkpoint),
    }


def read_cfg(path: object, cfg: object) -> notes.Metadata:
    """The metadata in the original's `cfg`.

    cfg: YAML text or a dict; anything else gives none, and so does what has another form than
    the original's configs.
    """
    if isinstance(cfg, str):
        brackets = cfg.count("[") + cfg.count("{")
        try:
            short = len(cfg) <= MOST_YAML and brackets <= MOST_BRACKETS
            cfg = yaml.load(cfg, _Loader) if short else None
        except Exception:  # of its parser and of its types: a dozen
            cfg = None
    data = _section(cfg, "DATA")
    preprocessing = {field: data[key] for field, key in _DATA.items() if key in data}
    if "ssv2" in (_section(cfg, part).get("DATASET") for part in ("TRAIN", "TEST")):
        # Its frames are read by OpenCV, one from each segment of the video.
        preprocessing |= {"sampling_rate": None, "channel_order": "bgr"}
    config = {"num_frames": data["NUM_FRAMES"]} if "NUM_FRAMES" in data else {}
    return notes.Metadata(config, None, notes.known_preprocessing(path, preprocessing))


def _section(cfg: object, name: str) -> dict[str, Any]:
    section = cfg.get(name) if isinstance(cfg, dict) else None
    return section if isinstance(section, dict) else {}
