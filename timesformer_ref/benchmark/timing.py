"""Time runners in turn, round by round, so that a slow moment of the machine affects all alike."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch

from timesformer_ref.benchmark.memory import peak_memory
from timesformer_ref.benchmark.runners import FLOOR, Runner


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
