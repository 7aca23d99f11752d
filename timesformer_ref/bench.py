"""How long a clip takes: this project beside `transformers` and bare products, in one process."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.hugging_face import config_json, rename_to_hugging_face
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.cost import group_shape
from timesformer_ref.initialise import random_weights
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.pretrained import TimeSformer
from timesformer_ref.torch_blocks.fold import fold

Run = Callable[[], np.ndarray | None]

PEER = "transformers (eager)"
"""Ratios compare with this one's time: `TimesformerForVideoClassification` as its users run it."""
FLOOR = "matrix products alone"
"""The original's linear layers as bare products of the same shapes, with nothing between them."""


@dataclass(frozen=True)
class Timing:
    """One runner's seconds for a clip, in order, and what they are to others'.

    ratio, floor_ratio: to the peer's time and to the bare products', medians over the rounds.
    difference: the largest of any logit from the peer's, in parts of its largest logit; products
        have none.
    """

    name: str
    seconds: tuple[float, ...]
    ratio: float
    floor_ratio: float
    difference: float | None

    @property
    def median_seconds(self) -> float:
        """The time to quote."""
        return median(self.seconds)


def runners(
    config: TimeSformerConfig,
    dtype: torch.dtype = torch.float32,
    *,
    compiled: bool = False,
    seed: int = 0,
) -> dict[str, Run]:
    """Everyone on the same random weights, none of them zero, and the same clip.

    compiled: also those that `torch.compile` makes faster. NumPy takes part in float32 alone.
    """
    weights = random_weights(config, seed)
    shape = (1, config.num_frames, config.num_channels, config.image_size, config.image_size)
    video = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    clip = torch.from_numpy(video).to(dtype)
    checkpoint = Checkpoint(config, {name: torch.from_numpy(w) for name, w in weights.items()})
    ours = TimeSformer.from_checkpoint(checkpoint, dtype=dtype)
    models: dict[str, torch.nn.Module] = {
        PEER: _transformers(checkpoint).to(dtype),
        "timesformer_ref (PyTorch)": ours,
        "timesformer_ref (folded)": fold(ours),
    }
    if compiled:
        theirs, folded = _transformers(checkpoint).to(dtype), fold(ours)
        theirs.compile()
        folded.compile()
        models |= {"transformers (compiled)": theirs, "timesformer_ref (folded, compiled)": folded}
    runs: dict[str, Run] = {
        name: lambda model=model: model(clip).logits.float().numpy()  # type: ignore[misc]
        for name, model in models.items()
    }
    if dtype == torch.float32:
        runs["timesformer_ref (NumPy)"] = lambda: forward(video, weights, config).logits
    return runs | {FLOOR: products(config, dtype)}


def linear_layers(config: TimeSformerConfig) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of every product with weights, as the original computes a clip."""
    d, hidden, patches = config.hidden_size, config.intermediate_size, prod(config.grid)
    block: list[tuple[int, int, int]] = []
    for step in config.steps:
        groups, members = group_shape(step, config.grid)
        last = step == config.steps[-1]
        rows = groups * (members + last)
        block += [(rows, d, 3 * d), (rows, d, d)] + ([] if last else [(patches, d, d)])
    tokens = patches + (config.num_frames if config.separate_frames else 1)
    block += [(tokens, d, hidden), (tokens, hidden, d)]
    pixels = config.num_channels * config.patch_size**2
    head = (1, d, config.num_labels)
    return [(patches, pixels, d), *block * config.num_hidden_layers, head]


def products(config: TimeSformerConfig, dtype: torch.dtype) -> Run:
    """All products of `linear_layers`, each with weights of its own."""
    layers = linear_layers(config)
    tokens = {(rows, i): torch.randn(rows, i, dtype=dtype) for rows, i, _ in layers}
    weights = [torch.randn(o, i, dtype=dtype) for _, i, o in layers]

    def run() -> None:
        for (rows, i, _), weight in zip(layers, weights, strict=True):
            tokens[rows, i] @ weight.T

    return run


def _transformers(checkpoint: Checkpoint) -> torch.nn.Module:
    """The peer's model, of the extra `peers`."""
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    config = replace(checkpoint.config, drop_path_rate=0.0)
    model = TimesformerForVideoClassification(TimesformerConfig(**config_json(config, None)))
    model.load_state_dict(rename_to_hugging_face(checkpoint.weights, config))
    model.requires_grad_(False).train(False)
    return model


def time_runners(
    runs: dict[str, Run], repeats: int, progress: Callable[[], None] = lambda: None
) -> list[Timing]:
    """Run all in turn, again and again, so that a slow moment of the machine strikes all alike.

    The first, unmeasured round warms up and compares the answers. Ratios are medians of the ratios
    of one round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        answers = {name: run() for name, run in runs.items()}
        for _ in range(repeats):
            for name, run in runs.items():
                start = perf_counter()
                run()
                seconds[name].append(perf_counter() - start)
                progress()
    return [
        Timing(
            name,
            tuple(times),
            _ratio(times, seconds[PEER]),
            _ratio(times, seconds[FLOOR]),
            _difference(answers[name], answers[PEER]),
        )
        for name, times in seconds.items()
    ]


def _ratio(times: list[float], others: list[float]) -> float:
    return median(t / other for t, other in zip(times, others, strict=True))


def _difference(found: np.ndarray | None, expected: np.ndarray | None) -> float | None:
    if found is None or expected is None:
        return None
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def report(config: TimeSformerConfig, dtype: torch.dtype, timings: list[Timing]) -> dict[str, Any]:
    """All that was measured, and on what, for a JSON file."""
    return {
        "case": f"ViT-Base, {config.attention_type}, {config.num_frames} frames of "
        f"{config.image_size} x {config.image_size} pixels",
        "dtype": str(dtype).removeprefix("torch."),
        "machine": f"{_processor()}, {torch.get_num_threads()} threads, PyTorch "
        f"{torch.__version__}, NumPy {np.__version__}",
        "repeats": len(timings[0].seconds),
        "timings": [asdict(t) | {"median_seconds": t.median_seconds} for t in timings],
    }


def _processor() -> str:
    """The processor's name, which only Linux tells well."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
