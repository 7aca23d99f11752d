"""The memory that a run takes beyond what the process, or the GPU, holds already."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(run: Callable[[], object], device: str) -> int | None:
    """Bytes at the highest point of a run, less those before it; None where nothing tells them.

    On a CPU what Linux counts as resident, with all that the libraries take for themselves.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    if not CLEAR_REFS.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # else what others have freed would be taken again, unseen
    before = _resident("VmRSS")
    CLEAR_REFS.write_text("5")  # sets the highest point back to now
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) * 1024
