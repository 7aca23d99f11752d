"""Which requirements cannot be judged while others fail, because their tests rest on these too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spec_tests.harness.judging import UNMEASURED, times_the_bound
from spec_tests.harness.report.words import as_trained
from timesformer_ref.config import TimeSformerConfig

Row = dict[str, Any]

LAST_STEPS = {
    "space_only": "SPACE-1",
    "joint_space_time": "JOINT-1",
    "divided_space_time": "DIV-6",
    "sparse_local_global": "LG-2",
    "axial": "AXIAL-3",
}
"""The requirement about the groups of the step in which ATT is tested, by scheme."""

SCHEMES = ("SPACE", "JOINT", "DIV", "LG", "AXIAL")
ATTENTION = ("ATT", *LAST_STEPS.values())
PARTS = ("PATCH", "CLS", "POS", "TIME", "NORM", *SCHEMES, "ATT", "MLP", "HEAD")
WHOLE = (*PARTS, "MODEL-1", "MODEL-2", "MODEL-3", "MODEL-4")

RESTS_ON: dict[str, tuple[str, ...]] = {
    "NORM-4": (*ATTENTION, "DIV-1", "LG-1", "AXIAL-2"),
    "NORM-5": ATTENTION,
    "NORM-6": ("MLP",),
    "NORM-7": ("HEAD",),
    "MODEL": PARTS,  # MODEL-5 on what is quite wrong only: all parts may lack digits
    "REFUSE": ("PATCH", "CLS", "POS-1", "TIME-1", "TIME-2", "NORM", "ATT", "LG", "MLP", "HEAD"),
    **dict.fromkeys(("GRAD", "VIEW-7", "WEIGHT-1", "INIT", "CKPT", "PROP"), WHOLE),
}
"""By id or group: what has to hold before a requirement can be judged. See also `_of_attention`."""

NORMED = (*RESTS_ON, *SCHEMES, "NORM", "ATT", "MLP", "HEAD")
"""Where an epsilon leaves traces."""

EPSILONS = ("NORM-4", "NORM-5", "NORM-6", "NORM-7")

OWN_SCHEMES = {
    "HEAD-3": ("space_only",),
    "TIME-7": ("space_only",),
    "SPACE": ("space_only",),
    "JOINT": ("joint_space_time",),
    "DIV": ("divided_space_time", "axial"),
    "LG": ("sparse_local_global",),
    "AXIAL": ("axial",),
}
"""Requirements that are about these schemes only."""

RESIZED = ("POS", "TIME-4", "TIME-5", "MODEL-3", "GRAD-3", "REFUSE-2")
"""Requirements about clips of another size than the trained one."""

NEAR, TRACE = 100, 1000
"""What explains a failure is at most so many times less far off its bound; what leaves only traces
elsewhere is at least so many times farther off."""


def withhold(rows: list[Row]) -> None:
    """Turn `failed` into `not judged` where another requirement, which is named, fails first."""
    failed = {row["id"]: row for row in rows if row["status"] == "failed"}
    for name in sorted(failed, key=lambda name: (name not in EPSILONS, _place(name))):
        cause = next(_causes(failed[name], rows), None)
        if cause:
            failed[name] |= {"status": "not judged", "reason": f"{cause} fails", "hint": ""}


def _place(name: str) -> int:
    """Attention and its groups are looked at first, what is made of all parts last."""
    return 0 if _is_of(name, (*SCHEMES, "ATT")) else 1 if _is_of(name, PARTS) else 2


def _causes(row: Row, rows: list[Row]) -> Iterator[str]:
    """The failed requirements that explain this one's failure, attention first."""
    given = row["input"] or {}
    if "function" not in given or given["function"] == "initial_weights":
        return
    others = [r for r in rows if r["status"] == "failed" and r is not row and _concerns(r, given)]
    others.sort(key=lambda r: not _is_of(r["id"], ("ATT",)))  # else as in the specification
    basis = _basis(row, rows)
    least = max(_telling(row) / NEAR, UNMEASURED * (row["id"] == "MODEL-5"))
    for other in others:
        rests = _is_of(other["id"], basis) and _telling(other) >= least
        trace = other["id"] in EPSILONS and _telling(other) >= _telling(row) * TRACE
        if rests or (trace and _is_of(row["id"], NORMED)):
            yield other["id"]
    refused = row["kind"] == "error" and not _is_of(row["id"], RESIZED) and not as_trained(given)
    if refused:
        about = [r for r in others if _is_of(r["id"], RESIZED) and r["kind"] == "error"]
        yield from (r["id"] for r in about)


def _basis(row: Row, rows: list[Row]) -> tuple[str, ...]:
    """What this requirement rests on, as ids and groups."""
    own = row["id"].startswith("PROP") and row["id"] not in ("PROP-3", "PROP-8")
    if own and row["kind"] in ("numbers", "in place"):  # two answers of the port were compared
        return ()
    found = next((basis for name, basis in RESTS_ON.items() if _is_of(row["id"], (name,))), ())
    return found + _of_attention(row, rows)


def _of_attention(row: Row, rows: list[Row]) -> tuple[str, ...]:
    """Where the last steps of all schemes fail, attention is to blame, else their groups are."""
    last = {r["id"]: r["tests"]["failed"] > 0 for r in rows if r["id"] in LAST_STEPS.values()}
    last = {n: failed for n, failed in last.items() if failed or _was_judged(n, rows)}
    if len(last) > 1 and all(last.values()):
        return ("ATT",) if _is_of(row["id"], SCHEMES) else ()
    return tuple(n for n, failed in last.items() if failed) if _is_of(row["id"], ("ATT",)) else ()


def _was_judged(name: str, rows: list[Row]) -> bool:
    return any(row["id"] == name and row["tests"]["passed"] for row in rows)


def _is_of(name: str, ids_or_groups: tuple[str, ...]) -> bool:
    return name in ids_or_groups or name.rpartition("-")[0] in ids_or_groups


def _telling(row: Row) -> float:
    return times_the_bound(row["error"], row["bound"])


def _concerns(row: Row, given: dict[str, Any]) -> bool:
    """Whether the requirement is about the scheme of this input."""
    about = next((s for name, s in OWN_SCHEMES.items() if _is_of(row["id"], (name,))), None)
    if "golden" in given:
        return about is None or any(given["golden"].startswith(s.split("_s")[0]) for s in about)
    default = TimeSformerConfig().attention_type
    return about is None or given.get("config", {}).get("attention_type", default) in about
