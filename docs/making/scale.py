"""Measure how time and memory of a clip grow with its frames and their size, by scheme.

python -m docs.making.scale FILE.json
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rich.progress import track

from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.benchmark.memory import peak_memory
from timesformer_ref.benchmark.report import machine
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.pack import fastest
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.model import TimeSformer

CLIPS = [(8, 112), (8, 224), (8, 448), (32, 224), (96, 224)]
"""Frames, and their height and width in pixels."""


def measure(scheme: str, frames: int, size: int) -> dict[str, Any]:
    """Seconds and bytes of one clip through ViT-Base in its fastest form, and its operations.

    For a grid that the scheme cannot divide, the error message instead.
    """
    found: dict[str, Any] = {"scheme": scheme, "frames": frames, "size": size}
    try:
        config = TimeSformerConfig(attention_type=scheme, num_frames=frames, image_size=size)
    except ValueError as error:
        return found | {"error": str(error)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = fastest(TimeSformer(config).eval())
        clip = torch.randn(1, frames, config.num_channels, size, size)

    seconds: list[float] = []

    @torch.inference_mode()
    def run() -> None:
        start = perf_counter()
        model(clip)
        seconds.append(perf_counter() - start)

    memory = peak_memory(run, "cpu")
    for _ in range(4 if prod(config.grid) <= 2000 else 0):
        run()
    return found | {
        "tokens": prod(config.grid),
        "multiply_adds": sum(multiply_adds(config).values()),
        "seconds": median(seconds),
        "peak_memory": memory,
    }


def main(target: Path) -> None:
    """Measure every scheme on every clip, the small ones several times."""
    cases = [(scheme, *clip) for clip in CLIPS for scheme in SCHEMES]
    rows = [measure(*case) for case in track(cases, "measuring")]
    found = {"machine": machine("cpu"), "dtype": "float32", "rows": rows}
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
