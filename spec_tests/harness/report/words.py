"""Texts that the report shows alike on the terminal and as HTML."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from timesformer_ref.config import TimeSformerConfig

OUTCOMES = ("failed", "passed", "not run", "not offered")
"""How a test may end."""

STATUSES = ("failed", "not judged", "passed, in part", "passed", "not run", "not offered")
"""The status of a requirement. `not judged`: its tests failed, but so did a requirement on which
they rest. `passed, in part`: something could not be tried. `not run`: it would take too long, and
`not offered`: the port lacks what it takes."""

Finding = dict[str, Any]


def counts(found: Finding) -> dict[str, int]:
    """How many requirements have each status, without the rarer ones that none has."""
    common = ("failed", "passed", "not offered")
    return {s: n for s, n in found["counts"].items() if n or s in common}


def in_numbers(found: Finding) -> str:
    """How many requirements have each status, as text."""
    return ", ".join(f"{n} {status.replace(',', '')}" for status, n in counts(found).items())


def summary(found: Finding) -> str:
    """How many requirements passed, and how many there are where not all were selected."""
    tested = len(found["requirements"])
    part = f"{tested} of {found['of']} requirements were selected: "
    return (part if tested < found["of"] else "") + in_numbers(found)


def attributes(found: Finding) -> str:
    """The port's arithmetic and schemes, the geometry that the report is about, the version."""
    only = [f"with {words} only" for words in found.get("constraints", ())]
    version = f"specification {found['specification']}"
    return ", ".join([found["dtype"], *found["attention_types"], *only, version])


def remark(row: Finding) -> str:
    """What explains the status of a requirement: a message, a reason, or nothing."""
    if row["status"] == "failed":
        return row["message"]
    return row.get("reason", "")


def in_words(given: Finding) -> str:
    """The input of a failure in words."""
    if "golden" in given:
        return ", ".join([f"the original's numbers {given['golden']!r}", *_call(given)])
    if "config" not in given:
        return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    config = asdict(TimeSformerConfig()) | given["config"]
    b, t, c, height, width = given["clip"]
    size = config["image_size"]
    trained = f"trained for {config['num_frames']} frames of {size} × {size}"
    return ", ".join(
        [
            config["attention_type"],
            f"video b {b} × t {t} × c {c} × H {height} × W {width}",
            *([] if as_trained(given) else [trained]),
            f"patch {config['patch_size']}",
            f"width {config['hidden_size']}",
            f"heads {config['num_attention_heads']}",
            f"blocks {config['num_hidden_layers']}",
            f"MLP {config['intermediate_size']}",
            f"labels {config['num_labels']}",
            f"epsilon {config['layer_norm_eps']:g}",
            *([] if config["qkv_bias"] else ["no qkv bias"]),
            *(["tiny tokens"] if given["tiny"] else []),
            *_call(given),
            f"{given['dtype']}, seed {given['seed']}",
        ]
    )


def as_trained(given: Finding) -> bool:
    """Whether the clip of an input has the size that the weights were trained for."""
    if "config" not in given:
        return True
    config = asdict(TimeSformerConfig()) | given["config"]
    size = config["num_frames"], config["image_size"], config["image_size"]
    return (given["clip"][1], *given["clip"][3:]) == size


def _call(given: Finding) -> list[str]:
    return [f"{name} {given[name]}" for name in ("function", "layer", "step") if name in given]


def error_against_bound(row: Finding) -> str:
    """The error, and how many times the bound it is."""
    if row["error"] is None:
        return ""
    if not row["bound"]:
        return f"off by {row['error']:g}, where numbers have to be equal"
    times = row["error"] / row["bound"]
    return f"{row['error']:.1e} relative, {times:.3g} times the bound of {row['bound']:.1e}"


def tests_failed(row: Finding) -> str:
    """How many tests of a requirement failed, if it has several."""
    several = sum(row["tests"].values())
    return f" ({row['tests']['failed']} of {several} tests failed)" if several > 1 else ""


def columns(worst: list[tuple[str, float, float]]) -> list[str]:
    """The largest errors as the lines of a table."""
    rows = [("at", "expected", "actual")] if worst else []
    rows += [(place, f"{e:.9g}", f"{a:.9g}") for place, e, a in worst]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])])
        for cells in rows
    ]
