"""The parts of a report that every form of it words alike."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from timesformer_ref.config import TimeSformerConfig

STATUSES = ("failed", "passed", "not offered")
"""What a requirement may be, the worse first; `not offered` where no test of it could run."""

Finding = dict[str, Any]


def summary(found: Finding) -> str:
    """How many requirements passed, and how many there are where not all were selected."""
    counts = ", ".join(f"{n} {status}" for status, n in found["counts"].items())
    tested = len(found["requirements"])
    part = f"{tested} of {found['of']} requirements were selected: "
    return (part if tested < found["of"] else "") + counts


def attributes(found: Finding) -> str:
    """What the port says of itself."""
    return ", ".join([found["dtype"], *found["attention_types"]])


def remark(row: Finding) -> str:
    """What is to say of a requirement besides its status, if anything."""
    if row["status"] == "failed":
        return row["message"]
    if row["status"] == "passed" and "reason" in row:
        return f"in part; not offered: {row['reason']}"
    return row.get("reason", "")


def in_words(told: Finding) -> str:
    """The input of a failure, for people."""
    if "golden" in told:
        return ", ".join([f"the original's numbers {told['golden']!r}", *_asked(told)])
    if "config" not in told:
        return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)
    config = asdict(TimeSformerConfig()) | told["config"]
    b, t, c, height, width = told["clip"]
    size = config["image_size"]
    trained = f"trained for {config['num_frames']} frames of {size} × {size}"
    as_trained = (t, height, width) == (config["num_frames"], size, size)
    return ", ".join(
        [
            config["attention_type"],
            f"video b {b} × t {t} × c {c} × H {height} × W {width}",
            *([] if as_trained else [trained]),
            f"patch {config['patch_size']}",
            f"width {config['hidden_size']}",
            f"heads {config['num_attention_heads']}",
            f"blocks {config['num_hidden_layers']}",
            f"MLP {config['intermediate_size']}",
            f"labels {config['num_labels']}",
            f"epsilon {config['layer_norm_eps']:g}",
            *([] if config["qkv_bias"] else ["no qkv bias"]),
            *(["tiny tokens"] if told["tiny"] else []),
            *_asked(told),
            f"{told['dtype']}, seed {told['seed']}",
        ]
    )


def _asked(told: Finding) -> list[str]:
    return [f"{name} {told[name]}" for name in ("function", "layer", "step") if name in told]


def error_against_bound(row: Finding) -> str:
    """How far off, and how many times as far as allowed."""
    if row["error"] is None:
        return ""
    if not row["bound"]:
        return f"off by {row['error']:g}, where numbers have to be equal"
    times = row["error"] / row["bound"]
    return f"{row['error']:.1e} relative, {times:.3g} times the bound of {row['bound']:.1e}"


def tests_failed(row: Finding) -> str:
    """How many tests of a requirement failed, where it has several."""
    several = sum(row["tests"].values())
    return f" ({row['tests']['failed']} of {several} tests failed)" if several > 1 else ""


def numbers(worst: list[tuple[str, float, float]]) -> list[str]:
    """Where an answer is most off, in columns."""
    rows = [("at", "expected", "actual")] if worst else []
    rows += [(place, f"{e:.9g}", f"{a:.9g}") for place, e, a in worst]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])])
        for cells in rows
    ]
