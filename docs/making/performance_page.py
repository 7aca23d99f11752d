"""The performance page, from what the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.making.names import NAMES
from docs.making.tables import table
from timesformer_ref.benchmark.limit import LIMIT
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES

FLOORS = {
    LIMIT: "*Limit* is the time of the products that the logits need, by themselves "
    "([how it is measured](#the-limit)); no form can take less.",
    "matrix products alone": "*Matrix products alone* are the original's linear layers as bare "
    "products of the same shapes. Inference can take less time than these, because it needs fewer "
    "products ([folding](#folding)) and another library computes them faster "
    "([packing](#packing)).",
}
"""What the last runner computes, by its name now, and by the one of earlier measurements."""
VIDEOS = 0.75
"""The target of the way from file to answer, as a fraction of the peer's time."""
DATA = Path(__file__).parents[1] / "data" / "bench"
TARGETS = {
    "divided-8x224": (0.76, 0.62),
    "divided-32x224": (0.72, 0.58),
    "divided-16x448": (0.52, 0.44),
    "joint-8x224": (0.40, 0.24),
}
"""For each case, in float32 and bfloat16: the target, as a fraction of the peer's time."""
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


def to_floor(timing: dict[str, Any]) -> float | None:
    """A time in parts of the last runner's, if there is one of `FLOORS`."""
    return timing["limit_ratio"] if "limit_ratio" in timing else timing["floor_ratio"]


def named(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One runner's row."""
    return next(t for t in found["timings"] if t["name"] == name)


def targets_table() -> str:
    """A row per case: target, time and time relative to the last runner's, in each arithmetic."""
    rows = []
    for case, aims in TARGETS.items():
        row = []
        for dtype, aim in zip(TYPES, aims, strict=True):
            ours = best(found := read(f"{case}-{dtype}"))
            measured = (
                f"{ours['ratio']:.2f}" if ours["ratio"] <= aim else f"**{ours['ratio']:.2f}**"
            )
            row += [f"{aim:.2f}", measured, f"{to_floor(ours):.2f}"]
        rows.append([title(found).partition(",")[0], *row])
    words = "target", "measured", f"to the {floor_word()}"
    head = [f"{dtype}: {word}" for dtype in TYPES for word in words]
    return table(["case", *head], rows)


def forms() -> str:
    """The fastest forms, each once."""
    names = [best(found)["name"] for dtype in TYPES for found in reports(dtype)]
    return " or ".join(n.removeprefix("timesformer_ref ").strip("()") for n in dict.fromkeys(names))


def floor_name() -> str:
    """What the last runner of the main case is called."""
    return str(read("divided-8x224-float32")["timings"][-1]["name"])


def floor_word() -> str:
    """The same in one word: limit, or products."""
    return floor_name().removesuffix(" alone").rpartition(" ")[2]


def videos_table() -> str:
    """From file to answer, in each arithmetic."""
    rows = []
    for dtype in TYPES:
        theirs, ours = (found := read(f"videos-{dtype}"))["timings"]
        rows.append(
            [title(found).removesuffix(", from file to answer"),
             f"{theirs['median_seconds']:.2f} s", f"{ours['median_seconds']:.2f} s",
             f"{ours['ratio']:.2f}", f"{VIDEOS}", "yes" if ours["ratio"] <= VIDEOS else "**no**"]
        )  # fmt: skip
    head = ["case", "PyAV, image processor, transformers", "timesformer_ref", "ratio", "target"]
    return table([*head, "met"], rows)


def memory_words() -> str:
    """The memory of the fastest form for the two large cases, as a fraction of the peer's."""
    parts = []
    for case in ("divided-16x448", "joint-8x224"):
        for found in (read(f"{case}-{dtype}") for dtype in TYPES):
            part = best(found)["peak_memory"] / found["timings"][0]["peak_memory"]
            parts.append(f"{part:.2f} ({title(found)})")
    return ", ".join(parts)


def title(found: dict[str, Any]) -> str:
    """A title that names what a report timed."""
    scheme = found["scheme"].replace("_space_time", "").replace("_", " ")
    words = [f"{scheme} {found['frames']} × {found['size']}", found["dtype"]]
    if found["batch"] > 1:
        words.append(f"{found['batch']} clips")
    if found["videos"]:
        words.append("from file to answer")
    if found["train"]:
        words.append("training step")
    return ", ".join(words)


def timings_table(found: dict[str, Any]) -> str:
    """One run of the benchmark: what was timed, and on what."""
    rows = [
        [
            t["name"],
            f"{t['median_seconds']:.2f} s",
            f"{t['ratio']:.2f}",
            "" if to_floor(t) is None else f"{to_floor(t):.2f}",
            "" if t["peak_memory"] is None else f"{t['peak_memory'] / 1e6:.0f} MB",
            "" if t["difference"] is None else f"{t['difference']:.1e}",
        ]
        for t in found["timings"]
    ]
    head = ["", "median time", "to the first", "to the last", "memory", "difference"]
    return f"**{title(found)}**, {found['repeats']} rounds:\n\n{table(head, rows)}"


def scale_table(rows: list[dict[str, Any]]) -> str:
    """Seconds and memory of every clip, a column a scheme."""

    def cell(row: dict[str, Any]) -> str:
        if "error" in row:
            return "not divisible"
        return f"{row['seconds']:.1f} s, {row['peak_memory'] / 1e6:.0f} MB"

    clips = dict.fromkeys((row["frames"], row["size"]) for row in rows)
    lines = [
        [f"{frames} × {size}"]
        + [cell(row) for row in rows if (row["frames"], row["size"]) == (frames, size)]
        for frames, size in clips
    ]
    return table(["clip", *(NAMES[scheme] for scheme in SCHEMES)], lines)


def scale_words(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What the text says of growth, in numbers."""
    found = {(row["scheme"], row["frames"], row["size"]): row for row in rows}
    short, long = (found["divided_space_time", frames, 224] for frames in (8, 96))
    joint = found["joint_space_time", 96, 224]
    held = 4 * TimeSformerConfig().num_attention_heads * (joint["tokens"] + 1) ** 2
    return {
        "linear": f"{long['seconds'] / short['seconds']:.1f}",
        "operations": f"{long['multiply_adds'] / short['multiply_adds']:.1f}",
        "held": f"{held / 1e9:.0f} GB",
        "joint_memory": f"{joint['peak_memory'] / 1e9:.1f} GB",
    }


def performance_page() -> str:
    """The last benchmarks' figures. Raises FileNotFoundError where some are missing."""
    rows = read("scale")["rows"]
    divided = read("divided-8x224-float32")
    return (Path(__file__).with_name("performance_page.txt").read_text("utf-8")).format(
        machine=divided["machine"],
        targets=targets_table(),
        numpy=f"{named(divided, 'timesformer_ref (NumPy)')['ratio']:.2f}",
        floor=f"{to_floor(best(divided)):.2f}",
        memory=memory_words(),
        bar=FLOORS[floor_name()],
        floor_name=floor_name(),
        floor_word=floor_word(),
        forms=forms(),
        videos=videos_table(),
        minute=minute_words(read("videos-minute")),
        scale=scale_table(rows),
        training=timings_table(read("training-8x224-float32")),
        cases="\n".join(timings_table(found) for dtype in TYPES for found in reports(dtype)),
        **scale_words(rows),
    )


def minute_words(found: dict[str, Any]) -> str:
    """A minute of video at 96 frames: how long, and how much memory."""
    theirs, ours = found["timings"]
    return (
        f"{ours['median_seconds']:.0f} s and {ours['peak_memory'] / 1e9:.1f} GB beyond the weights "
        f"(the usual loop: {theirs['median_seconds']:.0f} s, {theirs['peak_memory'] / 1e9:.1f} GB)"
    )
