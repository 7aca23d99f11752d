"""The port interface: the functions that a port may have, with their arguments, and its attributes.

docs/ports.md describes what each of them returns and means.
"""

from __future__ import annotations

from typing import Any

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "forward": ("video", "weights", "config"),
    "patchify": ("video", "weights", "config"),
    "time_embedding": ("frames", "weights", "config"),
    "attention_step": ("tokens", "weights", "config", "layer", "grid", "step"),
    "mlp": ("tokens", "weights", "config", "layer"),
    "block": ("tokens", "weights", "config", "layer", "grid"),
    "classifier": ("tokens", "weights", "config", "grid"),
    "gradients": ("video", "labels", "weights", "config"),
    "initial_weights": ("config", "seed"),
    "frame_indices": ("total", "fps", "num_frames", "sampling_rate", "clip", "num_clips"),
    "segment_indices": ("total", "num_frames"),
    "crops": ("frames", "scale", "crop"),
}
"""The names of the arguments, in order, by the name of the function."""

LAYOUTS: dict[str, str] = {
    "forward": "b labels",
    "patchify": "b t (1 + n) d",
    "time_embedding": "b (1 + n t) d",
    "attention_step": "b (1 + n t) d",
    "mlp": "b (1 + n t) d",
    "block": "b (1 + n t) d",
    "classifier": "b labels",
    "frame_indices": "num_frames",
    "segment_indices": "num_frames",
    "crops": "3 t c crop crop",
}
"""The axes of what a function returns, by its name; tokens of a space-only model are `FRAMES`."""

FRAMES = "(b t) (1 + n) d"

DEFAULTS: dict[str, Any] = {
    "NAME": "",
    "DTYPE": "float32",
    "ATTENTION_TYPES": ("space_only", "joint_space_time", "divided_space_time"),
    "FIXED_FRAMES": False,
    "FIXED_FRAME_SIZE": False,
    "STATIC_SHAPES": False,
    "CONSTRAINTS": {},
}
"""The optional attributes of a port, with their default values."""
