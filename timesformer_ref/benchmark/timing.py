"""Time runners in turn, round by round, so that a slow moment of the machine affects all alike."""

import ctypes
import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from timesformer_ref.benchmark.runners import FLOOR, Case, Runner

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Timing:
    """One runner's seconds for its clips, in order, and their ratios to others'.

    ratio, floor_ratio: to the peer's time and to the bare products', medians over the rounds.
    difference: the largest of any logit from the peer's, relative to the peer's largest logit; None
        for products.
    peak_memory: bytes beyond the weights and the clips.
    """

    name: str
    seconds: tuple[float, ...]
    ratio: float
    floor_ratio: float | None
    difference: float | None
    peak_memory: int | None

    @property
    def median_seconds(self) -> float:
        """The median of the seconds."""
        return median(self.seconds)


def time_runners(
    runs: dict[str, Runner],
    repeats: int,
    progress: Callable[[], None] = lambda: None,
    device: str = "cpu",
) -> list[Timing]:
    """Time all runners; the first one is the peer. Ratios are medians over the rounds.

    Two rounds before those are not timed: one warms up and compares the logits, one measures the
    memory. `progress` is called after each run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    answers, memory = {}, {}
    peer = next(iter(runs))
    for name, run in runs.items():
        answers[name] = run()
        progress()
    for name, run in runs.items():
        memory[name] = peak_memory(run, device)
        progress()
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(_seconds(run, device))
            progress()
    return [
        Timing(
            name,
            tuple(times),
            _ratio(times, seconds[peer]),
            _ratio(times, seconds[FLOOR]) if FLOOR in seconds else None,
            _difference(answers[name], answers[peer]),
            memory[name],
        )
        for name, times in seconds.items()
    ]


def _seconds(run: Runner, device: str) -> float:
    start = perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return perf_counter() - start


def _ratio(times: list[float], others: list[float]) -> float:
    return median(t / other for t, other in zip(times, others, strict=True))


def _difference(found: np.ndarray | None, expected: np.ndarray | None) -> float | None:
    if found is None or expected is None:
        return None
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def peak_memory(run: Callable[[], object], device: str) -> int | None:
    """The peak of bytes during a run, less those before it; None where they cannot be measured.

    On a CPU these are Linux's resident bytes, including those that libraries take for themselves.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    if not CLEAR_REFS.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # otherwise freed memory would be reused without being counted
    before = _resident("VmRSS")
    CLEAR_REFS.write_text("5")  # resets the peak
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) * 1024


def report(case: Case, timings: list[Timing], videos: int = 0) -> dict[str, Any]:
    """The report for a JSON file. videos: the number of videos that were read, if any."""
    config = case.config
    return {
        "scheme": config.attention_type, "frames": config.num_frames, "size": config.image_size,
        "batch": case.batch, "dtype": str(case.dtype).removeprefix("torch."), "videos": videos,
        "train": case.train, "checkpointing": case.checkpointing, "machine": machine(case.device),
        "repeats": len(timings[0].seconds),
        "timings": [asdict(t) | {"median_seconds": t.median_seconds} for t in timings],
    }  # fmt: skip


def machine(device: str) -> str:
    """Processor or GPU, threads and versions as text."""
    versions = f"PyTorch {torch.__version__}, NumPy {np.__version__}"
    if device != "cpu":
        return f"{torch.cuda.get_device_name()}, {versions}"
    return f"{_processor()}, {torch.get_num_threads()} threads, {versions}"


def _processor() -> str:
    """The processor's name; Linux has the most precise one."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
