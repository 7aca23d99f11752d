"""The diagnosis in words: what the report begins with, on the terminal and as HTML."""

from __future__ import annotations

from typing import Any

from spec_tests.harness.diagnosis import FAR
from spec_tests.harness.report.words import Finding

SHOWN = 8
"""How many of the requirements that are not explained are named; files name all of them."""


def opening(found: Finding) -> str:
    """The result of the diagnosis in a sentence; nothing where nothing failed."""
    if not found["counts"]["failed"]:
        return ""
    if not found["diagnosis"]:
        return "No known mistake gives this port's answers."
    count = len(found["diagnosis"])
    gives = "one known mistake gives" if count == 1 else f"{count} known mistakes give"
    return f"{gives} this port's answers:".capitalize()


def mistakes(found: Finding) -> list[dict[str, Any]]:
    """Of each mistake its `names`, `sentences`, what it `explains`, and where to `read` on."""
    failed = found["counts"]["failed"]
    return [
        {
            "names": " or ".join(row["mistakes"]),
            "sentences": row["sentences"],
            "explains": f"explains {len(row['explains'])} of {failed} failed requirements: "
            + ", ".join(row["explains"]),
            "read": row["read_on"],
        }
        for row in found["diagnosis"]
    ]


def rest(found: Finding) -> list[str]:
    """What is not explained, the largest error first, and what it is consistent with."""
    rows = {row["id"]: row for row in found["requirements"]}
    left = sorted(found["unexplained"], key=lambda name: -_times(rows[name]))
    near = [name for name in left if _times(rows[name]) < FAR]
    partly = {name for row in found["diagnosis"] for name in row["explains"]}
    far = [_with_error(rows[n], n in partly) for n in left if n not in near]
    lines = _listed("Not explained", far)
    lines += _listed("Too close to the right answer to tell", [_with_error(rows[n]) for n in near])
    hidden = dict.fromkeys(name for row in found["diagnosis"] for name in row["may_also_hide"])
    if left and hidden:
        lines += _listed("These change the same lines, and may be hidden", list(hidden))
    for name, mutants in found["consistent_with"].items():
        lines.append(f"{name} is consistent with {' or '.join(mutants)}")
    return lines


def _listed(title: str, names: list[str]) -> list[str]:
    """A line with the first names, or none."""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{title}: {', '.join(names[:SHOWN])}{more}"] if names else []


def _times(row: Finding) -> float:
    """The error of a failure in bounds, infinite where it is no number."""
    error, bound = row.get("error"), row.get("bound")
    return error / bound if error and bound else float("inf")


def _with_error(row: Finding, in_part: bool = False) -> str:
    times, name = _times(row), f"{row['id']}{' in part' if in_part else ''}"
    return name if times == float("inf") else f"{name} ({times:.2g} × the bound)"
