"""Pages about the conformance suite, from what its commands found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.making.tables import of_lines, table
from spec_tests.harness.full_size import PUBLISHED
from spec_tests.harness.requirements import requirements
from spec_tests.harness.sizes import AXES, Axis
from spec_tests.mutants.families import FAMILIES, VALUE
from spec_tests.mutants.table import MUTANTS

MISTAKES = {mutant.name: mutant.mistake for mutant in MUTANTS}


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
    return of_lines(lines)


def passed(report: dict[str, Any]) -> str:
    """How many requirements a port passes."""
    counts = report["counts"]
    count = counts["passed"] + counts.get("passed, in part", 0)
    return f"{count} of {len(report['requirements'])}"


HERE = """## Run the suite here

The button runs the suite's [small vectors](ports.md#vectors), recorded cases with their expected
answers, on the [JavaScript port](porting/other-languages.md#javascript) in your browser. It fetches
3 MB from this site and sends nothing. A dash marks a requirement for which there is no case.

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
description: Which implementations of TimeSformer conform to the specification, what fails, which \
sizes the suite tries, and how the suite itself is tested with mutants.
hide: [toc]
---

# Conformance

Which implementations compute TimeSformer as the [specification](specification.md) says? Each column
is a port, each row a group of requirements, and each cell the result of the last run of the suite:

- ✓: the port passes every requirement of the group.
- (✓): it passes them all, some of them [in part](ports.md#reading-a-report).
- A number: how many it passes; the others it does not offer.
- –: it does not offer the group.

NumPy, PyTorch in float32, float64, bfloat16 and float16, C and JavaScript were also judged by
`--thorough`, which tries twenty times as many inputs, and C and JavaScript by `--full-size`:
nothing failed.

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
{"".join(map(failures, reports.values()))}Numbers in brackets are line numbers: in
`modeling_timesformer.py` of `transformers` 5.24.0, and in `timesformer.py` of `mmaction2` 1.2.0.
The port of `mmaction2` declares the settings that this library cannot vary.

## Sizes

Code often takes another path beyond a certain size: a chunk, a tile, a vector, an index type. So
every run varies one axis at a time beyond such thresholds while all others stay tiny, and combines
sizes whose combination has code of its own. This comes in addition to the small geometries that
Hypothesis draws (at most about 4 frames and 12 patches per row) and to the original's vectors. A
port with `STATIC_SHAPES` gets the last size of each row only.

<details class="note" markdown>
<summary>{len(AXES)} rows of sizes, and the mistakes that show there</summary>

Each function or step is followed by the requirement that fails; where it differs between schemes,
each of them is listed.

{table(["axis", "sizes", "tested", "mistakes that show there"], list(map(size_row, AXES)))}
</details>

The published geometry is tested too, where the port is fast enough ([how long](ports.md#more)):
{"; ".join(PUBLISHED)}. Every function is called again too, immediately and after calls with other
weights, clips and sizes ([PROP-2](specification.md#prop-2)): a wrong cache shows there.

{diagnosis_part(data.with_name("diagnosis.json"))}## Make this page anew

```sh
python -m spec_tests.matrix --json docs/data/conformance.json
python docs/generate.py
```

JAX and `transformers` are extras of this package. The C port needs a C compiler and `make`, the
JavaScript port Node. `mmaction2` is installed without its dependencies, together with `mmcv-lite`
2.1, `mmengine` and OpenCV. For the original, the variable `TIMESFORMER_ORIGINAL` names a checkout
of [its repository](https://github.com/facebookresearch/TimeSformer).
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
    table = of_lines(lines)
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
    families = dict.fromkeys((f.mistake.replace(VALUE, "*x*"), f.group) for f in FAMILIES)
    return f"""## How the suite is tested

**Mutants.** A mutant is a port with one deliberate mistake: the NumPy implementation with a small
patch (`spec_tests/mutants/table.py`). There are {len(MUTANTS)}, and many of their mistakes were
found in public ports. The suite fails every mutant and names a requirement of the block that is to
blame; the [specification](specification.md) lists the mutants below the requirement that they
break.

**Diagnosis.** A failing report begins with the mistakes that explain the port's answers
([how](ports.md#reading-a-report)). To measure how often it names the right ones, ports with one,
two and three mistakes answered the suite's own calls in float32. *Named exactly*: each mistake was
named, and nothing else; mutants that no call can distinguish count as one. *Answers alike*: the
mistakes that were named explain all answers of the port, because one mistake hides the other.

{of_lines(lines)}

Of {len(found["unknown"])} ports that are right except for noise of one and a half bounds, or wrong
in a way that no mutant is, {nothing}.

<details class="note" markdown>
<summary>By group of requirements, and mistakes with a parameter</summary>

Where not all pairs and triples were tried, they were drawn with a fixed seed.

{of_lines(by_group)}

A mistake with a parameter *x* is fitted to one answer of the port and checked on the others:

{of_lines([["mistake", "group"], ["---"] * 2, *families])}

Mutants that change the same lines cannot be combined. Where something stays unexplained, the report
says that one of them may hide another.

</details>

```sh
pytest spec_tests --port mutant:gelu-tanh
python -m spec_tests.diagnosis --json docs/data/diagnosis.json
```

"""


KINDS = ("one mistake", "two in one function", "two in two functions", "three")
"""The kinds of ports that `python -m spec_tests.diagnosis` makes, by their number of mistakes."""


def exactly(verdicts: dict[str, int] | None) -> str:
    """The share of ports whose mistakes were named exactly."""
    return f"{verdicts.get('exact', 0) / sum(verdicts.values()):.0%}" if verdicts else "–"


def write_mutants(data: Path, folder: Path) -> None:
    """Write `REQUIREMENT.md`, the mutants caught, for each requirement that catches some."""
    folder.mkdir(parents=True, exist_ok=True)
    for rule, names in caught(data).items():
        lines = [f"- `{name}`{{ #{name} }}: {MISTAKES[name]}" for name in names]
        title = "1 mutant breaks it" if len(names) == 1 else f"{len(names)} mutants break it"
        text = f"""<details class="mutants" data-search-exclude markdown>
<summary>{title}</summary>

{chr(10).join(lines)}

</details>
"""
        (folder / f"{rule}.md").write_text(text, encoding="utf-8")


def caught(data: Path) -> dict[str, list[str]]:
    """The mutants by the requirement that caught them in the last run."""
    found: dict[str, list[str]] = {}
    for row in json.loads(data.read_text("utf-8")):
        found.setdefault(row["requirement"], []).append(row["name"])
    return found
