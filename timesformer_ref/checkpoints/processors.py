"""The preprocessing in the processor config of a Hugging Face folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timesformer_ref.checkpoints.checkpoint import warn
from timesformer_ref.checkpoints.notes import KEY, known_preprocessing, read_json
from timesformer_ref.config import is_number, shown

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


def preprocessor_json(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `preprocessor_config.json`; what the library lacks goes under our own key."""
    content: dict[str, Any] = {"image_processor_type": "VideoMAEImageProcessor"}
    content |= {key: preprocessing[f] for f, key in NUMBERS.items() if f in preprocessing}
    if crop := preprocessing.get("crop"):
        content["crop_size"] = {"height": crop, "width": crop}
        content["size"] = {"shortest_edge": crop}
    content[KEY] = {k: v for k, v in preprocessing.items() if k not in (*NUMBERS, "crop")}
    return content
