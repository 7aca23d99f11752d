"""The report of a benchmark: all measurements, and the machine."""

import platform
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timesformer_ref.benchmark.runners import Case
from timesformer_ref.benchmark.timing import Timing


def report(
    case: Case, timings: list[Timing], repeats: int, shares: dict[str, Any], videos: int = 0
) -> dict[str, Any]:
    """The report for a JSON file.

    repeats: rounds that were run. shares: of operators, in the time of the fastest form
    and of the limit (`breakdown`). videos: the number of videos that were read, if any.
    """
    config = case.config
    return {
        "scheme": config.attention_type,
        "frames": config.num_frames,
        "size": config.image_size,
        "batch": case.batch,
        "dtype": str(case.dtype).removeprefix("torch."),
        "videos": videos,
        "train": case.train,
        "machine": machine(case.device),
        "repeats": len(timings[0].seconds),
        "left_out": repeats - len(timings[0].seconds),
        "operators": shares,
        "timings": [asdict(t) for t in timings],
    }


def machine(device: str) -> str:
    """Processor with its vectors, or GPU; threads, versions. Linux has the most precise name."""
    versions = f"PyTorch {torch.__version__}, NumPy {np.__version__}"
    if device != "cpu":
        return f"{torch.cuda.get_device_name()}, {versions}"
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    processor = names[0] if names else platform.processor() or platform.machine()
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{processor}, {vectors}, {torch.get_num_threads()} threads, {versions}"
