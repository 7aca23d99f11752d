"""Choose the preprocessing of a checkpoint: given, stated, looked up, or assumed with a warning."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.checkpoints.variants import Variant, matching_variant
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.preprocessing import Preprocessing

ASSUMED = {"sampling_rate": "rate 32", "mean": "mean 0.45", "std": "std 0.225"}
"""The original's numbers, for a checkpoint that states none and matches no published one."""


class PreprocessingWarning(UserWarning):
    """A preprocessing that had to be assumed, or that seems wrong."""


def choose_preprocessing(
    checkpoint: Checkpoint | TimeSformer,
    variant: Variant | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Preprocessing:
    """The preprocessing for a checkpoint, or for the model made of it.

    In order of precedence: what is `asked` (fields of `Preprocessing`), the named variant, the
    checkpoint's own config, the published variant that its geometry matches, and last the numbers
    in `ASSUMED`, under a PreprocessingWarning that says so. Frames and crop are the checkpoint's
    own unless a variant or `asked` says otherwise.
    Raises ValueError where the answers are impossible or do not fit together.
    """
    config, asked = checkpoint.config, asked or {}
    if variant:
        chosen = _changed(config, variant.preprocessing, asked)
        if (chosen.num_frames, chosen.crop) != (config.num_frames, config.image_size):
            _warn(
                f"{variant.name} is for {chosen.num_frames} frames of {chosen.crop} pixels, the "
                f"checkpoint was trained for {config.num_frames} of {config.image_size}"
            )
        return chosen
    own = {"num_frames": config.num_frames, "crop": config.image_size, **checkpoint.preprocessing}
    if asked.get("crop", own["crop"]) != own["crop"]:
        own.pop("single_crop_scale", None)  # it belongs to the other crop
    known = {**own, **asked}
    if known["crop"] != config.image_size and "crop" not in asked:
        _warn(
            f"the checkpoint's own config asks for crops of {known['crop']} pixels, its positions "
            f"are those of {config.image_size}: give --crop {config.image_size} if that is meant"
        )
    if match := matching_variant(config):
        for name in ASSUMED.keys() & checkpoint.preprocessing.keys() - asked.keys():
            if known[name] != getattr(match.preprocessing, name):
                _warn(
                    f"the checkpoint's own config states {name} {known[name]}, which is followed; "
                    f"{match.name}, of the same geometry, has {getattr(match.preprocessing, name)}"
                )
        return _changed(config, match.preprocessing, known)
    channels = config.num_channels
    default = Preprocessing(mean=(0.45,) * channels, std=(0.225,) * channels)
    chosen = _changed(config, default, known)
    if missing := [name for name in ASSUMED if name not in known]:
        _warn(
            f"the checkpoint does not state its preprocessing and matches no published variant: "
            f"assuming {chosen.num_frames} frames x {chosen.sampling_rate or 'segments'} "
            f"({', '.join(ASSUMED[name] for name in missing)} by default); "
            "give --variant, --rate, --mean and --std"
        )
    return chosen


def _changed(
    config: TimeSformerConfig, base: Preprocessing, fields: Mapping[str, Any]
) -> Preprocessing:
    if fields.get("crop", base.crop) != base.crop:
        fields = {"single_crop_scale": None, **fields}  # it belongs to the other crop
    changed = replace(base, **fields)
    if len(changed.mean) != config.num_channels:
        raise ValueError(
            f"mean and std are for {len(changed.mean)} channels, the checkpoint takes "
            f"{config.num_channels}"
        )
    return changed


def _warn(message: str) -> None:
    warnings.warn(message, PreprocessingWarning, stacklevel=3)
