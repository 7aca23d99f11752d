"""Measure the memory that a run takes beyond what the process, or the GPU, holds already."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
    (kilobytes,) = re.findall(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    return int(kilobytes) * 1024
