"""Time runners in turn, round by round, so that a slow moment of the machine affects all alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch

from timesformer_ref.benchmark.limit import LIMIT
from timesformer_ref.benchmark.memory import peak_memory
from timesformer_ref.benchmark.runners import Runner
from timesformer_ref.inference.trial import seconds

DISTURBED = 1.25
"""How many times the least time of a fixed product, beside a round, shows a disturbed machine."""


@dataclass(frozen=True)
class Timing:
    """One runner's seconds for its clips in the rounds that count, and their ratios to others'.

    ratio, limit_ratio: to the peer's time and to the limit's, medians over the rounds.
    spread: the least and the largest ratio to the limit of any round, to the peer without a limit.
    difference: the largest of any logit from the peer's, relative to the peer's largest logit; None
        for the limit.
    peak_memory: bytes beyond the weights and the clips.
    """

    name: str
    seconds: tuple[float, ...]
    ratio: float
    limit_ratio: float | None
    spread: tuple[float, float]
    difference: float | None
    peak_memory: int | None
    median_seconds: float


def time_runners(
    runs: dict[str, Runner],
    repeats: int,
    progress: Callable[[], None] = lambda: None,
    device: str = "cpu",
) -> list[Timing]:
    """Time all runners; the first one is the peer. Ratios are medians over the rounds.

    Two rounds before those are not timed: one warms up and compares the logits, one measures the
    memory. `progress` is called after each run. Rounds in which the machine was disturbed are left
    out, but for the quieter half of all.
    """

    def done(found: Any) -> Any:
        progress()
        return found

    answers = {name: done(run()) for name, run in runs.items()}
    memory = {name: done(peak_memory(run, device)) for name, run in runs.items()}
    square = torch.randn(4096, 1024, device=device)
    gauge = partial(torch.mm, square.T, square)  # 4 · 10⁹ multiply-adds
    gauges = [min(seconds(gauge, device) for _ in range(3))]
    rounds: list[dict[str, float]] = []
    for _ in range(repeats):
        rounds.append({name: done(seconds(run, device)) for name, run in runs.items()})
        gauges.append(seconds(gauge, device))
    kept, peer = quiet(rounds, gauges), next(iter(runs))

    def timing(name: str) -> Timing:
        to_peer = [times[name] / times[peer] for times in kept]
        to_limit = [times[name] / times[LIMIT] for times in kept if LIMIT in runs]
        found, expected = answers[name], answers[peer]
        off = None
        if found is not None and expected is not None:
            off = float(np.abs(found - expected).max() / np.abs(expected).max())
        return Timing(
            name,
            tuple(times[name] for times in kept),
            median(to_peer),
            median(to_limit) if to_limit else None,
            (min(to_limit or to_peer), max(to_limit or to_peer)),
            off,
            memory[name],
            median(times[name] for times in kept),
        )

    return [timing(name) for name in runs]


def quiet(rounds: list[dict[str, float]], gauges: list[float]) -> list[dict[str, float]]:
    """The rounds beside which no fixed product took long; no fewer than half of all.

    gauges: the product's seconds before the first round and after each.
    """
    beside = [max(pair) for pair in pairwise(gauges)]
    undisturbed = sum(slower <= DISTURBED * min(gauges) for slower in beside)
    count = max(undisturbed, (len(rounds) + 1) // 2)
    chosen = sorted(range(len(rounds)), key=beside.__getitem__)[:count]
    return [rounds[number] for number in sorted(chosen)]
