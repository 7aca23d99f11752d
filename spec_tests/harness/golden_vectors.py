"""The golden vectors: inputs and results of the original model, the ground truth of the suite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import Grid
from timesformer_ref.weights import part

FOLDER = Path(__file__).parents[1] / "golden"
MODELS = tuple(
    path.stem
    for path in sorted(FOLDER.glob("*.safetensors"))
    if not path.stem.startswith(("views", "image_vit", "full_size"))
)
EXACT_SIZE = ("divided", "joint", "space_only", "divided_no_qkv_bias", "divided_tiny_tokens")
WITH_GRADIENTS = ("divided", "joint", "space_only")


@dataclass(frozen=True)
class Golden:
    """One file: an input of the original model, its weights, and all its results.

    It has the attributes of a `Case`, and the original's results besides, such as `out["logits"]`.
    """

    name: str
    config: TimeSformerConfig
    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]

    @cached_property
    def video(self) -> np.ndarray:
        """The normalised video, b t c H W."""
        return self.tensors["in.video"].astype(np.float64)

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """Weights by the original's names."""
        return {n: w.astype(np.float64) for n, w in part(self.tensors, "weights").items()}

    @property
    def labels(self) -> np.ndarray:
        """One class per clip."""
        return self.tensors["in.labels"]

    @property
    def out(self) -> dict[str, np.ndarray]:
        """The original's results by name."""
        return part(self.tensors, "out")

    @property
    def clip(self) -> tuple[int, ...]:
        """The shape of the video."""
        return self.video.shape

    @property
    def grid(self) -> Grid:
        """Frames, rows and columns of the clip's patches."""
        return self.config.clip_grid(self.clip)

    @property
    def states(self) -> list[np.ndarray]:
        """The tokens that enter block 0, then those that leave each block."""
        names = ["embeddings", *(f"blocks.{i}" for i in range(self.config.num_hidden_layers))]
        return [self.out[name] for name in names]

    def describe(self) -> dict[str, Any]:
        """What a report shows of this case."""
        return {"golden": self.name}


@cache
def golden(name: str) -> Golden:
    """The golden vector of this name."""
    with safe_open(FOLDER / f"{name}.safetensors", "np") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    config = TimeSformerConfig(**json.loads(metadata["config"])) if "config" in metadata else None
    return Golden(name, config, tensors, metadata)
