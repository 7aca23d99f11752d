"""The performance page, from what the benchmarks wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.making.names import NAMES
from docs.making.tables import table
from timesformer_ref.benchmark.breakdown import KINDS
from timesformer_ref.benchmark.limit import LIMIT
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES

IN_NUMPY = "timesformer_ref (NumPy)"
DATA = Path(__file__).parents[1] / "data" / "bench"
CASES = "divided-8x224", "divided-32x224", "divided-16x448", "joint-8x224"
TO_LIMIT = {"float32": 1.05, "bfloat16": 1.10}
"""The aim of every case in each arithmetic, in parts of the limit's time."""
NUMPY, MEMORY, VIDEOS = 1.2, 0.4, 0.65
"""The other aims: in parts of the peer's time, memory, and time from file to answer."""


def read(name: str) -> dict[str, Any]:
    """One benchmark's report. Raises FileNotFoundError where there is none."""
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return found


def reports(*dtypes: str) -> list[dict[str, Any]]:
    """Those of every case, one arithmetic after another."""
    return [read(f"{case}-{dtype}") for dtype in dtypes for case in CASES]


def best(found: dict[str, Any]) -> dict[str, Any]:
    """The fastest of this project's forms."""
    ours = [t for t in found["timings"] if t["name"].startswith("timesformer_ref")]
    return min(ours, key=lambda t: t["ratio"])


def named(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One runner's row."""
    return next(t for t in found["timings"] if t["name"] == name)


def missed(measured: float, aim: float) -> bool:
    """Whether a number misses its aim, as it is printed."""
    return round(measured, 2) > aim


def judged(measured: float, aim: float) -> str:
    """A number as it is printed, in bold where that misses its aim."""
    return f"**{measured:.2f}**" if missed(measured, aim) else f"{measured:.2f}"


def limits_table() -> str:
    """A row per case and arithmetic: the fastest form in parts of the limit and of the peer."""
    rows = []
    for found in reports(*TO_LIMIT):
        ours, aim = best(found), TO_LIMIT[found["dtype"]]
        form = ours["name"].removeprefix("timesformer_ref ").strip("()")
        low, high = ours["spread"]
        limited = [judged(ours["limit_ratio"], aim), f"{low:.2f} to {high:.2f}"]
        rows.append([title(found), form, f"{aim:.2f}", *limited, f"{ours['ratio']:.2f}"])
    head = ["case", "form", "aim", "to the limit", "least and largest", "to transformers"]
    return table(head, rows)


def beyond(found: dict[str, Any]) -> dict[str, float]:
    """What the fastest form takes beyond the limit, in parts of the limit, by kind of operator."""
    form = next(name for name in found["operators"] if name != LIMIT)
    limit, ours = found["operators"][LIMIT], found["operators"][form]
    ratio = named(found, form)["limit_ratio"]
    return {kind: ratio * ours.get(kind, 0) - limit.get(kind, 0) for kind in {**ours, **limit}}


def beyond_table() -> str:
    """A row per case and arithmetic: where the rest goes."""
    kinds = [*KINDS, "other"]
    rows = [
        [title(found), *(f"{beyond(found).get(kind, 0):+.3f}" for kind in kinds),
         f"{best(found)['limit_ratio'] - 1:+.2f}"]
        for found in reports(*TO_LIMIT)
    ]  # fmt: skip
    return table(["case", *kinds, "together"], rows)


def aims_table() -> str:
    """Every other aim: what was measured, and whether that meets it."""
    rows = [
        [f"{title(found)}: {what}", f"{aim:.2f}", judged(measured, aim)]
        for found, what, aim, measured in other_aims()
    ]
    return table(["relative to `transformers`", "aim", "measured"], rows)


def beyond_words() -> dict[str, str]:
    """What was measured of a single layer, and of the system's part, in each arithmetic."""
    found = read("beyond")
    return {
        f"{what}_{dtype}": f"{part:.1%}" if what.startswith("system") else f"{part:.2f}"
        for dtype in TO_LIMIT
        for what, part in found[dtype].items()
    }


def other_aims() -> Iterator[tuple[dict[str, Any], str, float, float]]:
    """A report, what is measured there in parts of the peer's, the aim, and the measurement."""
    divided = read("divided-8x224-float32")
    yield divided, "time in NumPy", NUMPY, named(divided, IN_NUMPY)["ratio"]
    for found in (read(f"{c}-{d}") for c in ("divided-16x448", "joint-8x224") for d in TO_LIMIT):
        part = best(found)["peak_memory"] / found["timings"][0]["peak_memory"]
        yield found, "memory beyond the weights", MEMORY, part
    for found in videos("float32"):
        yield found, "time", VIDEOS, best(found)["ratio"]


def reasons() -> str:
    """For each aim that is missed what was measured of its reason, a line each."""
    lines = []
    for found in reports(*TO_LIMIT):
        if missed(best(found)["limit_ratio"], TO_LIMIT[found["dtype"]]):
            most = sorted(beyond(found).items(), key=lambda pair: -pair[1])[:3]
            lines.append(f"**{title(found)}**: most goes to " + ", ".join(
                f"{kind} ({part:.3f})" for kind, part in most if part > 0) + ".")  # fmt: skip
    for found, what, aim, measured in other_aims():
        if missed(measured, aim):
            lines.append(f"**{title(found)}, {what}**: {REASONS[what](found)}")
    head = "The reasons for each aim that is missed:" if lines else "No aim is missed."
    return "\n".join([head, "", *(f"- {line}" for line in lines)]) + "\n"


def in_numpy(found: dict[str, Any]) -> str:
    """Why NumPy takes its time."""
    part = read("beyond")["gelu_in_numpy"] / named(found, IN_NUMPY)["median_seconds"]
    return f"the GELU alone takes {part:.0%} of the time; SciPy computes it in one thread."


def in_memory(found: dict[str, Any]) -> str:
    """Why a model takes its memory."""
    case = f"{found['scheme'].split('_')[0]}-{found['frames']}x{found['size']}"
    in_use = read("beyond")["in_use"][f"{case}-{found['dtype']}"]
    return (
        f"of {best(found)['peak_memory'] / 1e6:.0f} MB at most {in_use / 1e6:.0f} MB are in use at "
        "once; the rest is freed arrays that the allocator keeps."
    )


def from_files(found: dict[str, Any]) -> str:
    """Why the way from files to answers takes its time."""
    model = found["videos"] * best(read(f"divided-8x224-{found['dtype']}"))["median_seconds"]
    whole = best(found)["median_seconds"]
    return f"the model by itself takes {model:.2f} s of {whole:.2f} s; the rest is reading."


REASONS = {
    "time in NumPy": in_numpy,
    "memory beyond the weights": in_memory,
    "time": from_files,
}
"""What states the reason for a missed aim, by what is measured."""


def videos(*dtypes: str) -> list[dict[str, Any]]:
    """What was measured from file to answer."""
    paths = (DATA / f"videos{folder}-{dtype}.json" for folder in ("", "-20") for dtype in dtypes)
    return [read(path.stem) for path in paths if path.exists()]


def videos_table() -> str:
    """From file to answer, in each arithmetic."""
    rows = [
        [title(found).replace(", from file to answer", ""),
         *(f"{t['median_seconds']:.2f} s" for t in found["timings"]),
         f"{found['timings'][1]['ratio']:.2f}"]
        for found in videos(*TO_LIMIT)
    ]  # fmt: skip
    return table(["case", "PyAV, image processor, transformers", "timesformer_ref", "ratio"], rows)


def title(found: dict[str, Any]) -> str:
    """A title that names what a report timed."""
    scheme = found["scheme"].replace("_space_time", "").replace("_", " ")
    words = [f"{scheme} {found['frames']} × {found['size']}", found["dtype"]]
    if found["batch"] > 1:
        words.append(f"{found['batch']} clips")
    if found["videos"]:
        words += ["from file to answer", f"{found['videos']} videos"]
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
            "" if t["limit_ratio"] is None else f"{t['limit_ratio']:.2f}",
            "" if t["peak_memory"] is None else f"{t['peak_memory'] / 1e6:.0f} MB",
            "" if t["difference"] is None else f"{t['difference']:.1e}",
        ]
        for t in found["timings"]
    ]
    head = ["", "median time", "to the first", "to the last", "memory", "difference"]
    rounds = f"{found['repeats']} rounds"
    if left_out := found["left_out"]:
        rounds += f" ({left_out} more left out, as the machine was disturbed)"
    return f"**{title(found)}**, {rounds}:\n\n{table(head, rows)}"


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
        limits=limits_table(),
        aims=aims_table(),
        beyond=beyond_table(),
        reasons=reasons(),
        commands=(DATA / "measure.sh").read_text("utf-8"),
        **beyond_words(),
        videos=videos_table(),
        minute=minute_words(read("videos-minute")),
        scale=scale_table(rows),
        training=timings_table(read("training-8x224-float32")),
        cases="\n".join(timings_table(found) for found in reports(*TO_LIMIT)),
        **scale_words(rows),
    )


def minute_words(found: dict[str, Any]) -> str:
    """A minute of video at 96 frames: how long, and how much memory."""
    theirs, ours = found["timings"]
    return (
        f"{ours['median_seconds']:.0f} s and {ours['peak_memory'] / 1e9:.1f} GB beyond the weights "
        f"(the usual loop: {theirs['median_seconds']:.0f} s, {theirs['peak_memory'] / 1e9:.1f} GB)"
    )
