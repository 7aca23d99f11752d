"""Where the time of a model goes, by kind of operator."""

import os
from collections import Counter
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

KINDS = {
    "fused attention": ("attention", "flash", "fmha", "sdpa"),
    "attention in products": ("bmm", "softmax"),
    "linear layers": ("mm", "linear", "conv", "nvjet", "cutlass"),
    "norms": ("norm",),
    "GELU": ("gelu",),
    "copies": ("copy", "clone", "cat", "contiguous", "index", "repeat"),
    "sums": ("add", "mul", "mean", "sum"),
}
"""What the names of operators, or on a GPU of kernels, contain, by kind; the first that fits."""


def breakdown(run: Callable[[], object], device: str = "cpu") -> dict[str, float]:
    """The share of each kind in the time of a run, most first; `other` is the rest.

    An operator's own time counts, without those that it calls; page faults are part of each.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it would print when it starts and stops
    activity = ProfilerActivity.CPU if device == "cpu" else ProfilerActivity.CUDA
    with profile(activities=[activity]) as found:
        run()
    times: Counter[str] = Counter()
    for event in found.key_averages():
        key = event.key.lower()
        kinds = (kind for kind, parts in KINDS.items() if any(part in key for part in parts))
        own = event.self_cpu_time_total if device == "cpu" else event.self_device_time_total
        times[next(kinds, "other")] += own
    total = times.total() or 1
    return {kind: own / total for kind, own in times.most_common()}
