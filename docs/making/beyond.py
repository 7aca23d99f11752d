"""Measure what a linear layer of ViT-Base takes beyond its product, in processor time.

python -m docs.making.beyond FILE.json
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import nn

from timesformer_ref.benchmark.memory import peak_memory
from timesformer_ref.benchmark.report import machine
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.pack import PackedLinear, fastest
from timesformer_ref.numpy_blocks.layers import gelu
from timesformer_ref.torch_blocks.model import TimeSformer

CONFIG = TimeSformerConfig()
NOTHING_KEPT = "glibc.malloc.mmap_threshold=65536"
"""With this setting the allocator returns every larger array to the system when it is freed."""
ROWS, LAYERS, ROUNDS = 1 + 8 * 14 * 14, 12, 3


def ratio(way: Callable[[int], object], other: Callable[[int], object]) -> float:
    """The processor time of one way to compute all layers in parts of another's, in turn."""

    def seconds(run: Callable[[int], object]) -> float:
        start = process_time()
        for layer in range(LAYERS):
            run(layer)
        return process_time() - start

    seconds(way), seconds(other)
    return median(seconds(way) / seconds(other) for _ in range(ROUNDS))


@torch.inference_mode()
def first_layer_of_mlp(dtype: torch.dtype) -> dict[str, float]:
    """What a packed layer takes with an input that is not in the cache, and with the GELU."""
    inputs = torch.randn(LAYERS, ROWS, CONFIG.hidden_size, dtype=dtype)
    layers = [
        nn.Linear(CONFIG.hidden_size, CONFIG.intermediate_size, dtype=dtype) for _ in range(LAYERS)
    ]
    plain, with_gelu = ([PackedLinear(x, name) for x in layers] for name in ("none", "gelu"))
    same = lambda k: plain[k](inputs[0])  # noqa: E731
    return {
        "cold": ratio(lambda k: plain[k](inputs[k]), same),
        "gelu": ratio(lambda k: with_gelu[k](inputs[0]), same),
    }


def two_blocks(case: str, dtype: torch.dtype) -> Callable[[], object]:
    """A forward pass of a case such as `divided-16x448` through two blocks, after a first one."""
    scheme, _, clip = case.partition("-")
    frames, size = map(int, clip.split("x"))
    config = TimeSformerConfig(
        attention_type=f"{scheme}_space_time", num_frames=frames, image_size=size,
        num_hidden_layers=2,
    )  # fmt: skip
    model = fastest(TimeSformer(config).eval().to(dtype))
    video = torch.randn(1, frames, config.num_channels, size, size, dtype=dtype)

    @torch.inference_mode()
    def run() -> None:
        model(video)

    run()
    return run


def in_the_system(case: str, dtype: torch.dtype) -> float:
    """The system's part in the processor time of a forward pass, which is that of page faults."""
    run = two_blocks(case, dtype)
    before = resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return system / (system + after.ru_utime - before.ru_utime)


def memory(case: str, dtype: torch.dtype) -> int | None:
    """The bytes that a forward pass takes at most, beyond the weights."""
    return peak_memory(two_blocks(case, dtype), "cpu")


def in_new_process(what: Callable[[str, torch.dtype], Any], case: str, dtype: torch.dtype) -> Any:
    """What a measurement returns where the allocator has not been made to keep anything before."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(what, case, dtype).result()


def gelu_in_numpy() -> float:
    """The seconds that the GELUs of a clip of 8 × 224 take in NumPy."""
    hidden = np.random.default_rng(0).standard_normal(
        (ROWS, CONFIG.intermediate_size), dtype=np.float32
    )
    times = []
    for _ in range(ROUNDS):
        start = process_time()
        gelu(hidden)
        times.append(process_time() - start)
    return CONFIG.num_hidden_layers * median(times)


def main(target: Path) -> None:
    """Measure all of it, in both arithmetics."""
    in_use: dict[str, int] = {}
    found = {"machine": machine("cpu"), "gelu_in_numpy": gelu_in_numpy(), "in_use": in_use}
    for name, dtype in {"float32": torch.float32, "bfloat16": torch.bfloat16}.items():
        found[name] = first_layer_of_mlp(dtype) | {
            "system_8": in_new_process(in_the_system, "divided-8x224", dtype),
            "system_32": in_new_process(in_the_system, "divided-32x224", dtype),
        }
        os.environ["GLIBC_TUNABLES"] = NOTHING_KEPT
        for case in ("divided-16x448", "joint-8x224"):
            in_use[f"{case}-{name}"] = in_new_process(memory, case, dtype)
        del os.environ["GLIBC_TUNABLES"]
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
