"""The numbers of the original model: the ground truth of every test."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import safe_open

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.weights import part

FOLDER = Path(__file__).parent / "golden"
MODELS = tuple(
    path.stem
    for path in sorted(FOLDER.glob("*.safetensors"))
    if not path.stem.startswith(("views", "image_vit"))
)
WITH_GRADIENTS = ("divided", "joint", "space_only")
BOUNDS = {np.float64: 1e-12, np.float32: 5e-6}
"""The largest difference from the original's float64 numbers, as a part of their largest."""


class Golden(NamedTuple):
    """One file: what goes into the original model, its weights, and all that comes out."""

    name: str
    config: TimeSformerConfig
    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]

    def inputs(self, dtype):
        """The video and the weights, in the type asked."""
        weights = {n: w.astype(dtype) for n, w in part(self.tensors, "weights").items()}
        return self.tensors["in.video"].astype(dtype), weights

    @property
    def grid(self):
        return self.config.clip_grid(self.tensors["in.video"].shape)


@cache
def golden(name: str) -> Golden:
    with safe_open(FOLDER / f"{name}.safetensors", "np") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    config = TimeSformerConfig(**json.loads(metadata["config"])) if "config" in metadata else None
    return Golden(name, config, tensors, metadata)


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a part of the largest expected number."""
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def assert_close(actual, expected, bound: float, what: str) -> None:
    assert np.isfinite(actual).all(), f"{what} has values that are no numbers"
    error = difference(np.asarray(actual), np.asarray(expected))
    assert error <= bound, f"{what} is off by {error:.2e} of its largest value, bound {bound:.0e}"
