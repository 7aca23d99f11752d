"""How long a clip takes: both implementations beside `transformers`, in turn in one process."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.hugging_face import config_json, rename_to_hugging_face
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.initialise import random_weights
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.pretrained import TimeSformer

Run = Callable[[], np.ndarray]

PEER = "transformers (eager)"
"""Ratios compare with this one's time: `TimesformerForVideoClassification` as its users run it."""


@dataclass(frozen=True)
class Timing:
    """One runner's seconds for a clip, in order, and its largest relative difference of logits."""

    name: str
    seconds: tuple[float, ...]
    ratio: float
    difference: float

    @property
    def median_seconds(self) -> float:
        """The time to quote."""
        return median(self.seconds)


def runners(config: TimeSformerConfig, seed: int = 0) -> dict[str, Run]:
    """Everyone on the same random weights, none of them zero, and the same clip in float32."""
    weights = random_weights(config, seed)
    shape = (1, config.num_frames, config.num_channels, config.image_size, config.image_size)
    video = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    clip = torch.from_numpy(video)
    checkpoint = Checkpoint(config, {name: torch.from_numpy(w) for name, w in weights.items()})
    ours = TimeSformer.from_checkpoint(checkpoint)
    theirs = _transformers(checkpoint)
    return {
        PEER: lambda: theirs(clip).logits.numpy(),
        "timesformer_ref (PyTorch)": lambda: ours(clip).logits.numpy(),
        "timesformer_ref (NumPy)": lambda: forward(video, weights, config).logits,
    }


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
    expected = answers[PEER]
    return [
        Timing(
            name,
            tuple(times),
            median(t / peer for t, peer in zip(times, seconds[PEER], strict=True)),
            float(np.abs(answers[name] - expected).max() / np.abs(expected).max()),
        )
        for name, times in seconds.items()
    ]


def report(config: TimeSformerConfig, timings: list[Timing]) -> dict[str, Any]:
    """All that was measured, and on what, for a JSON file."""
    return {
        "case": f"ViT-Base, {config.attention_type}, {config.num_frames} frames of "
        f"{config.image_size} x {config.image_size} pixels",
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
