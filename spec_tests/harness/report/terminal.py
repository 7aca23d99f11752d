"""The report on the terminal."""

from __future__ import annotations

import json
from shutil import get_terminal_size
from textwrap import fill

import pytest

from spec_tests.harness.report.mistakes import mistakes, opening, rest
from spec_tests.harness.report.words import (
    STATUSES,
    Finding,
    attributes,
    columns,
    error_against_bound,
    in_numbers,
    in_words,
    remark,
    summary,
    tests_failed,
)

COLOURS = {s: {"yellow": True} for s in STATUSES} | {
    "failed": {"red": True},
    "passed": {"green": True},
}


def show_requirements(terminal: pytest.TerminalReporter, found: Finding) -> None:
    """Show a table of all requirements, then each failure."""
    terminal.section(f"conformance of {found['port']}")
    _show_diagnosis(terminal, found)
    width = get_terminal_size().columns - 28
    group = ""
    for row in found["requirements"]:
        if row["group"] != group:
            group = row["group"]
            terminal.write_line(group, bold=True)
        text = remark(row) or row["requirement"]
        terminal.write(f"{row['id']:10} ")
        terminal.write(f"{row['status']:15} ", **COLOURS[row["status"]])
        terminal.write_line(text if len(text) < width else f"{text[: width - 1]}…")
    for row in found["requirements"]:
        if row["status"] == "failed":
            terminal.write_line("")
            _show_failure(terminal, row)
    terminal.write_line("")
    worst = next((s for s in STATUSES if found["counts"][s] and s != "passed, in part"), "passed")
    terminal.write_line(f"{found['port']} ({attributes(found)})")
    terminal.write_line(summary(found), bold=True, **COLOURS[worst])


def _show_diagnosis(terminal: pytest.TerminalReporter, found: Finding) -> None:
    """Show the known mistakes that give the port's answers, and what they leave unexplained."""
    if not opening(found):
        return
    terminal.write_line(opening(found), bold=True)
    for mistake in mistakes(found):
        terminal.write_line(f"  {mistake['names']}", red=True)
        for line in (*mistake["sentences"], mistake["explains"], f"read on: {mistake['read']}"):
            _write_folded(terminal, line, "    ")
    for line in rest(found):
        _write_folded(terminal, line)
    terminal.write_line("")


def _write_folded(terminal: pytest.TerminalReporter, line: str, indent: str = "") -> None:
    width = get_terminal_size().columns
    terminal.write_line(fill(line, width, initial_indent=indent, subsequent_indent=indent + "  "))


def _show_failure(terminal: pytest.TerminalReporter, row: Finding) -> None:
    """Show a failure: what happened, on which input, and the hint."""
    terminal.write_line(f"{row['id']}  {row['requirement']}", red=True)
    lines = {"error": error_against_bound(row), "test": f"{row['test']}{tests_failed(row)}"}
    if row["input"]:
        lines |= {"input": in_words(row["input"]), "again": json.dumps(row["input"])}
    lines["hint"] = row["hint"]
    terminal.write_line(f"  {row['message']}")
    for line in columns(row["worst"] or []):
        terminal.write_line(f"    {line}")
    for name, text in lines.items():
        if text:
            terminal.write_line(f"  {name:6} {text}")


def show_groups(terminal: pytest.TerminalReporter, found: dict[str, list[Finding]]) -> None:
    """Show one line per port, and the requirements that failed or were not offered."""
    terminal.section("conformance")
    for port, rows in found.items():
        with_status = {s: [r["id"] for r in rows if r["status"] == s] for s in STATUSES}
        found = {"counts": {s: len(ids) for s, ids in with_status.items()}}
        terminal.write_line(f"{port}: {in_numbers(found)}")
        for status, ids in with_status.items():
            if ids and status != "passed":
                terminal.write_line(f"  {status}: {', '.join(ids)}", **COLOURS[status])
