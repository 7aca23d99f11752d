"""Pages about the conformance suite, from what its commands found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.making.tables import table
from spec_tests.harness.diagnosis import composed
from spec_tests.harness.full_size import PUBLISHED
from spec_tests.harness.requirements import requirements
from spec_tests.harness.sizes import AXES, Axis
from spec_tests.mutants.families import FAMILIES, VALUE
from spec_tests.mutants.table import MUTANTS


def linked(name: str) -> str:
    """A requirement's id, leading to its sentence."""
    return f"[{name}](specification.md#{name.lower()})"


def cell(rows: list[dict[str, Any]]) -> str:
    """How a port does on one group of requirements."""
    statuses = [row["status"] for row in rows]
    if "failed" in statuses:
        return f"**{statuses.count('failed')} of {len(rows)} failed**"
    passed = sum(status.startswith("passed") for status in statuses)
    if passed < len(rows):
        return f"{passed} of {len(rows)}" if passed else "–"
    return "(✓)" if "passed, in part" in statuses else "✓"


def matrix(reports: list[dict[str, Any]]) -> str:
    """Groups of requirements against ports."""
    lines = [["", *(report["title"] for report in reports)], ["---"] * (1 + len(reports))]
    for group in dict.fromkeys(rule.group for rule in requirements().values()):
        of = [[r for r in report["requirements"] if r["group"] == group] for report in reports]
        lines.append([group, *map(cell, of)])
    lines.append(["**passed**", *(passed(report) for report in reports)])
    lines.append(["processor seconds", *(str(report["seconds"]) for report in reports)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def passed(report: dict[str, Any]) -> str:
    """How many requirements a port passes."""
    counts = report["counts"]
    count = counts["passed"] + counts.get("passed, in part", 0)
    return f"{count} of {len(report['requirements'])}"


HERE = """## Run the suite here

The [small vectors](ports.md#vectors), which are the suite's cases as files, on the [JavaScript
port](porting/other-languages.md#javascript), in your browser: 3 MB are fetched from this site,
nothing is sent. A requirement without a case among them has a dash.

<div data-vectors>
<button type="button">Run the vectors</button> <span role="status"></span>
<ul></ul>
<table><tbody></tbody></table>
<noscript><p>This needs scripts, which are switched off.</p></noscript>
</div>
<script type="module">import "../assets/live/conformance.js";</script>
"""
"""The part of the page in which the reader runs the vectors."""


def conformance_page(data: Path) -> str:
    """The matrix of ports against groups of requirements, and every failure."""
    reports = json.loads(data.read_text("utf-8"))
    own = [report for name, report in reports.items() if name.startswith(("numpy", "torch"))]
    others = [report for report in reports.values() if report not in own]
    return f"""---
description: Which implementations of TimeSformer conform to the specification, and what fails.
hide: [toc]
---

# Conformance

Which ports conform? Each column is a run of the suite on one port, each row a group of requirements
of the [specification](specification.md). ✓: all of them passed; (✓): some of them passed in part,
as for a port that lacks schemes or is too slow at full size; a number: how many passed; –: the port
does not offer the group. An input that a port may refuse, and does, does not count as passed.

## Other ports

{matrix(others)}

## This project's implementations

<details class="note" markdown>
<summary>{len(own)} variants of the NumPy and PyTorch implementations</summary>

<div class="dense" markdown>

{matrix(own)}

</div>

</details>

{HERE}
{"".join(map(failures, reports.values()))}Numbers in
brackets are lines of `modeling_timesformer.py` in `transformers` 5.24.0, and of `timesformer.py` in
`mmaction2` 1.2.0, whose port declares what that library cannot vary.

## Sizes

Every run tries each axis beyond the sizes at which code changes its way, while the others stay
tiny, and brings together what has branches of its own. This is besides the geometries that
Hypothesis draws (up to 4 frames and 12 patches a row, say) and the original's vectors. Ports with
`STATIC_SHAPES` get the last size of each row. Behind a function or a step stands the requirement
that fails; where schemes differ in it, it is asked in each.

{table(["axis", "sizes", "asked", "what becomes wrong there"], list(map(size_row, AXES)))}
The published geometry is asked too, where the port is fast enough ([how long](ports.md#more)):
{"; ".join(PUBLISHED)}. Besides, every function is called again, at once and after calls with other
weights, other clips and other sizes ([PROP-2](specification.md#prop-2)): what is remembered wrongly
shows there.

## Run it

```sh
python -m spec_tests.matrix --json docs/data/conformance.json
```

`jax` and `transformers` come with extras, the C port needs a C compiler and `make`, the JavaScript
port Node, `mmaction2` itself, without its dependencies, and `mmcv-lite` 2.1, `mmengine` and OpenCV,
and the original a checkout of [its repository](https://github.com/facebookresearch/TimeSformer),
whose folder the variable `TIMESFORMER_ORIGINAL` names.
"""


def size_row(axis: Axis) -> list[str]:
    """A row of the sizes that are tried."""
    rules: dict[str, list[str]] = {}
    for asked, rule in axis.asked.items():
        links = rules.setdefault(asked.rpartition(" ")[2], [])
        links += [linked(rule)] * (linked(rule) not in links)
    asked = ", ".join(f"`{name}` {' '.join(links)}" for name, links in rules.items())
    return [axis.name, "; ".join(map(str, axis.values)), asked, axis.wrong]


def failures(report: dict[str, Any]) -> str:
    """What one port fails, and where its numbers are off."""
    failed = [row for row in report["requirements"] if row["status"] == "failed"]
    if not failed:
        return ""
    lines = [["requirement", "what happened", "why"], ["---"] * 3]
    for row in failed:
        told = row["message"].replace("|", "\\|")
        lines.append([linked(row["id"]), told, report["defects"].get(row["id"], "")])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## What {report['title']} fails\n\n{table}\n\n"


VERDICTS = {
    "exact": "named exactly",
    "alike": "answers alike",
    "part": "in part",
    "none": "not named",
    "wrong": "something else named",
}
"""What the diagnosis may say of a port whose mistakes are known, in words."""


def diagnosis_part(data: Path) -> str:
    """How often the diagnosis names the mistakes of a port, by their number and by their group."""
    found = json.loads(data.read_text("utf-8"))
    kinds = {kind: found[kind] for kind in KINDS}
    head = ["ports with", "tried", *VERDICTS.values()]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for kind, row in kinds.items():
        counts = [row["verdicts"].get(verdict, 0) for verdict in VERDICTS]
        shares = [f"{n} ({n / row['of']:.0%})" if n else "–" for n in counts]
        lines.append([kind, f"{row['of']} of {row['there_are']}", *shares])
    groups = sorted({group for row in kinds.values() for group in row["groups"]})
    by_group = [["named exactly, by group", *groups], ["---", *["---:"] * len(groups)]]
    for kind, row in kinds.items():
        by_group.append([kind, *(exactly(row["groups"].get(group)) for group in groups)])
    named = [name for name, rows in found["unknown"].items() if rows]
    nothing = f"something was named for {', '.join(named)}" if named else "nothing was named"
    families = [[f.mistake.replace(VALUE, "*x*"), f.group] for f in FAMILIES]
    return f"""## Named by their answers

A failing report begins with the mistakes that give the port's answers
([how](ports.md#reading-a-report)). Here ports with one, two and three mistakes answered the suite's
own calls in float32. *Exactly* means that each mistake was named, and nothing else; mutants that no
call tells apart count as one. *Answers alike* means that what was named gives all the answers of
the port: one mistake hides the other. Pairs and triples are drawn from a fixed seed where not all
were tried.

{_table(lines)}

{_table(by_group)}

Of {len(found["unknown"])} ports that are right but for noise of one and a half bounds, or wrong in
a way that no mutant is, {nothing}.

Mistakes with a parameter are fitted to one answer of a port and checked on the others:

{_table([["mistake", "group"], ["---"] * 2, *families])}

These change the same lines, so that they cannot be composed; where something stays unexplained, the
report says that the one may hide the other.

{_table([["mutant", "excludes"], ["---"] * 2, *excluding()])}

```sh
python -m spec_tests.diagnosis --json docs/data/diagnosis.json
```
"""


def excluding() -> list[list[str]]:
    """Each mutant that some others of the later ones cannot be composed with, and these."""
    names = [m.name for m in MUTANTS]
    found = {
        n: [o for o in names[i + 1 :] if not composed((n,), (o,))] for i, n in enumerate(names)
    }
    return [
        [f"`{n}`", ", ".join(f"`{o}`" for o in others)] for n, others in found.items() if others
    ]


KINDS = ("one mistake", "two in one function", "two in two functions", "three")
"""The kinds of ports that `python -m spec_tests.diagnosis` makes, by their number of mistakes."""


def exactly(verdicts: dict[str, int] | None) -> str:
    """The share of ports whose mistakes were named exactly."""
    return f"{verdicts.get('exact', 0) / sum(verdicts.values()):.0%}" if verdicts else "–"


def _table(lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mutants_page(data: Path) -> str:
    """Every mutant, the requirement that caught it, and on which input."""
    found = {row["name"]: row for row in json.loads(data.read_text("utf-8"))}
    lines = [["mutant", "mistake", "caught by", "what happened", "on"], ["---"] * 5]
    for mutant in MUTANTS:
        row = found[mutant.name]
        told = (row["message"] or "").replace("|", "\\|").splitlines()[0]
        name = f"`{mutant.name}`{{ #{mutant.name} }}"
        lines.append([name, mutant.mistake, linked(row["requirement"]), told, given(row["input"])])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"""---
hide: [toc]
search:
  exclude: true
---

# Mutants

The suite is itself tested. Each of these {len(MUTANTS)} wrong ports is the NumPy implementation
with a small patch (`spec_tests/mutants/table.py`); many of the mistakes are those of public ports.
The suite fails every one and names a requirement of the guilty block. Inputs are the smallest that
Hypothesis found, or golden vectors of the original.

{table}

See a report on one of them, or run them all:

```sh
pytest spec_tests --port mutant:gelu-tanh
python -m spec_tests.mutants --json docs/data/mutants.json
```

{diagnosis_part(data.with_name("diagnosis.json"))}"""


def given(told: dict[str, Any] | None) -> str:
    """An input in few words."""
    if not told:
        return ""
    if "golden" in told:
        return f"golden `{told['golden']}`"
    if "clip" not in told or "config" not in told:
        return ", ".join(f"{name} {value}" for name, value in told.items() if name != "function")
    config = told["config"]
    clip = " × ".join(map(str, told["clip"]))
    return (
        f"{config.get('attention_type', 'divided_space_time').replace('_', ' ')}, clip {clip}, "
        f"patch {config.get('patch_size', 16)}, width {config.get('hidden_size', 768)}"
    )
