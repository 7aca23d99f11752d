"""The performance page, from what the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.making.tables import table
from timesformer_ref.benchmark.picture import title
from timesformer_ref.benchmark.runners import FLOOR

DATA = Path(__file__).parents[1] / "data" / "bench"
TARGETS = {
    "divided-8x224": (0.76, 0.62),
    "divided-32x224": (0.72, 0.58),
    "divided-16x448": (0.52, 0.44),
    "joint-8x224": (0.40, 0.24),
}
"""For each case, in float32 and bfloat16: the time to aim at, in parts of the peer's."""
TYPES = "float32", "bfloat16"


def read(name: str) -> dict[str, Any]:
    """One benchmark's report. Raises FileNotFoundError where there is none."""
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return found


def reports(dtype: str) -> list[dict[str, Any]]:
    """Those of every case in one arithmetic."""
    return [read(f"{case}-{dtype}") for case in TARGETS]


def best(found: dict[str, Any]) -> dict[str, Any]:
    """The fastest of this project's forms."""
    ours = [t for t in found["timings"] if t["name"].startswith("timesformer_ref")]
    return min(ours, key=lambda t: t["ratio"])


def named(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One runner's row."""
    return next(t for t in found["timings"] if t["name"] == name)


def targets_table() -> str:
    """Every target beside what was measured."""
    rows = []
    for case, aims in TARGETS.items():
        for dtype, aim in zip(TYPES, aims, strict=True):
            found = read(f"{case}-{dtype}")
            ours, floor = best(found), named(found, FLOOR)
            met = "yes" if ours["ratio"] <= aim else "**no**"
            form = ours["name"].removeprefix("timesformer_ref ").strip("()")
            rows.append(
                [title(found), f"{aim}", f"{ours['ratio']:.2f}", met, form,
                 f"{floor['ratio']:.2f}", f"{ours['floor_ratio']:.2f}"]
            )  # fmt: skip
    head = ["case", "aim", "measured", "met", "in which form", "products", "to the products"]
    return table(head, rows)


def timings_table(found: dict[str, Any]) -> str:
    """One run of the benchmark: what was timed, and on what."""
    rows = [
        [
            t["name"],
            f"{t['median_seconds']:.2f} s",
            f"{t['ratio']:.2f}",
            "" if t["floor_ratio"] is None else f"{t['floor_ratio']:.2f}",
            "" if t["peak_memory"] is None else f"{t['peak_memory'] / 1e6:.0f} MB",
            "" if t["difference"] is None else f"{t['difference']:.1e}",
        ]
        for t in found["timings"]
    ]
    head = ["", "median time", "to the first", "to the products", "memory", "off by"]
    return f"### {title(found)}\n\n{found['repeats']} rounds.\n\n{table(head, rows)}"


def performance_page() -> str:
    """The last benchmarks' figures. Raises FileNotFoundError where some are missing."""
    cases = "\n".join(timings_table(found) for dtype in TYPES for found in reports(dtype))
    return (Path(__file__).with_name("performance.md").read_text("utf-8")).format(
        machine=read("divided-8x224-float32")["machine"], targets=targets_table(), cases=cases
    )
