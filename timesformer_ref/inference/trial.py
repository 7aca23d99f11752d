"""Short trials: which of several ways to compute the same is faster on this machine."""

from collections.abc import Callable, Sequence
from time import perf_counter, process_time

import torch

Way = Callable[[], object]
Clock = Callable[[], float]

MARGIN = 1.1
"""By what factor a way must be slower to lose, so that every run chooses the same."""


def loses(way: Way, other: Way) -> bool:
    """Whether a way to compute clearly takes more processor time here than another."""
    mine, others = least_seconds([way, other], "cpu", process_time)
    return mine > MARGIN * others


@torch.inference_mode()
def least_seconds(ways: Sequence[Way], device: str, clock: Clock = perf_counter) -> list[float]:
    """The least time of each way, tried in turn, after a first time that does not count."""
    times = [[seconds(way, device, clock) for way in ways] for _ in range(5)][1:]
    return [min(column) for column in zip(*times, strict=True)]


def seconds(way: Way, device: str, clock: Clock = perf_counter) -> float:
    """How long a way takes, to the end of what a GPU was given to do."""
    start = clock()
    way()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start
