"""The report as Markdown, for people who review."""

from __future__ import annotations

import json
from itertools import groupby

from spec_tests.harness.report.words import (
    Finding,
    attributes,
    error_against_bound,
    in_words,
    remark,
    summary,
    tests_failed,
)


def as_markdown(found: Finding) -> str:
    """A title, what failed, and a table of all requirements."""
    failures = [_failure(row) for row in found["requirements"] if row["status"] == "failed"]
    groups = groupby(found["requirements"], lambda row: row["group"])
    return "\n".join(
        [
            f"# Conformance of {_plain(found['port'])}\n",
            f"{summary(found)}.\n",
            f"The port: {attributes(found)}.\n",
            *(["## Failed\n", *failures] if failures else []),
            "## All requirements\n",
            *(_table(group, list(rows)) for group, rows in groups),
        ]
    )


def _table(group: str, rows: list[Finding]) -> str:
    lines = [f"### {group}\n", "| | | requirement |", "| --- | --- | --- |"]
    for row in rows:
        status = f"**{row['status']}**" if row["status"] != "passed" else "passed"
        more = f"<br>{_cell(_plain(remark(row)))}" if remark(row) else ""
        lines.append(f"| {row['id']} | {status} | {_cell(row['requirement'])}{more} |")
    return "\n".join(lines) + "\n"


def _failure(row: Finding) -> str:
    """What happened, on which input, and what the reason may be."""
    told = [f"### {row['id']}\n\n{row['requirement']}\n\n{_block(row['message'])}\n"]
    if row["worst"]:
        lines = ["| at | expected | actual |", "| --- | ---: | ---: |"]
        lines += [f"| {place} | {e:.9g} | {a:.9g} |" for place, e, a in row["worst"]]
        told.append("\n".join(lines) + "\n")
    points = {
        "Error": error_against_bound(row),
        "Hint": row["hint"],
        "Test": f"`{row['test']}`{tests_failed(row)}",
        "Input": in_words(row["input"]) if row["input"] else "",
    }
    told.append("".join(f"- {name}: {text}\n" for name, text in points.items() if text))
    if row["input"]:
        told.append(_block(json.dumps(row["input"])) + "\n")
    return "\n".join(told)


def _block(text: str) -> str:
    """Text as it is, whatever marks it has."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _plain(text: str) -> str:
    """Text of the port's, without marks."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#" else c for c in text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
