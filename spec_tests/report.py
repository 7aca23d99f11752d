"""What a run found, requirement by requirement: on the terminal, and as JSON, Markdown or HTML."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spec_tests.judging import Nonconformance
from spec_tests.porting import BadPort
from spec_tests.requirements import requirements
from timesformer_ref.atomic import whole_file

STATUSES = ("failed", "passed", "not offered")
"""What a requirement may be, the worse first; `not offered` where no test of it could run."""

OUTCOMES = {"failed": "failed", "passed": "passed", "skipped": "not offered"}
COLOURS = {"failed": {"red": True}, "passed": {"green": True}, "not offered": {"yellow": True}}

Finding = dict[str, Any]


def failure_of(error: BaseException) -> Finding:
    """What a failed test tells: for a nonconformance all of it, else the error in a line."""
    if not isinstance(error, Nonconformance):
        line = next(iter(str(error).splitlines()), "")
        return {"message": f"{type(error).__name__}: {line}", "text": ""}
    found = {
        "message": error.message,
        "error": error.error,
        "bound": error.bound,
        "input": error.given,
        "worst": error.worst,
    }
    return found | {"text": "\n".join(_lines(found))}


def _lines(found: Finding) -> list[str]:
    """A failure in words: what, where the numbers are worst, on which input."""
    lines = [found["message"]]
    lines += [f"  at {place}: expected {e:.9g}, got {a:.9g}" for place, e, a in found["worst"]]
    return [*lines, f"  input: {json.dumps(found['input'])}"]


class Report:
    """A pytest plugin that gathers the verdicts of all tests, also those of other processes.

    ports: names of the ports under test. paths: files to write, `.json`, `.md` or `.html`.
    Raises BadPort for another kind of file, and for files about more than one port.
    """

    def __init__(self, ports: list[str], paths: list[str]) -> None:
        self.ports, self.paths = ports, [Path(path) for path in paths]
        self.verdicts: dict[str, dict[str, list[Finding]]] = {
            port: defaultdict(list) for port in ports
        }
        if paths and len(ports) > 1:
            raise BadPort("--report: a report is about one port: name it with --port")
        for path in self.paths:
            if path.suffix not in WRITERS:
                raise BadPort(f"--report {path}: use a name that ends in {', '.join(WRITERS)}")
            if not path.parent.is_dir():
                raise BadPort(f"--report {path}: there is no folder {path.parent}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdict = dict(report.user_properties).get("verdict")
        if verdict and (report.when == "call" or report.outcome != "passed"):
            for port in [verdict["port"]] if verdict["port"] else self.ports:
                for name in verdict["requirements"]:
                    self.verdicts[port][name].append(verdict)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if len(self.ports) == 1:
            _show_requirements(terminalreporter, self.findings(self.ports[0]))
        elif any(self.verdicts.values()):
            _show_groups(
                terminalreporter, {p: self.findings(p)["requirements"] for p in self.ports}
            )

    def pytest_sessionfinish(self) -> None:
        for path in self.paths:
            text = WRITERS[path.suffix](self.findings(self.ports[0]))
            with whole_file(path) as new:
                new.write_text(text, encoding="utf-8")

    def findings(self, port: str) -> Finding:
        """The port, and each requirement that was tested."""
        verdicts = self.verdicts[port]
        rows = [_finding(name, verdicts[name]) for name in requirements() if name in verdicts]
        counts = {s: sum(row["status"] == s for row in rows) for s in STATUSES}
        return {"port": port, "counts": counts, "requirements": rows}


def _finding(name: str, verdicts: list[Finding]) -> Finding:
    rule = requirements()[name]
    seen = {OUTCOMES[verdict["outcome"]] for verdict in verdicts}
    status = next(status for status in STATUSES if status in seen)
    row = {"id": name, "group": rule.group, "requirement": rule.text, "status": status}
    if status == "failed":
        first = next(v for v in verdicts if v["outcome"] == "failed")
        told = ("message", "error", "bound", "input", "worst")
        row |= {key: first.get(key) for key in told} | {"hint": rule.hint}
    return row


def _summary(found: Finding) -> str:
    return ", ".join(f"{n} {status}" for status, n in found["counts"].items())


def _show_requirements(terminal: pytest.TerminalReporter, found: Finding) -> None:
    terminal.section(f"conformance of {found['port']}: {_summary(found)}")
    width = terminal._tw.fullwidth - 26
    for row in found["requirements"]:
        text = row["requirement"]
        text = text if len(text) < width else text[: width - 1] + "…"
        terminal.write(f"{row['id']:10} ")
        terminal.write(f"{row['status']:12} ", **COLOURS[row["status"]])
        terminal.write_line(text)
    for row in found["requirements"]:
        if row["status"] == "failed":
            terminal.write_line("")
            terminal.write_line(f"{row['id']}  {row['requirement']}", red=True)
            for line in _lines(row) if row["input"] else [row["message"]]:
                terminal.write_line(f"  {line}")
            terminal.write_line(f"  usually: {row['hint']}")


def _show_groups(terminal: pytest.TerminalReporter, found: dict[str, list[Finding]]) -> None:
    terminal.section("conformance")
    for port, rows in found.items():
        counts = {s: [r["id"] for r in rows if r["status"] == s] for s in STATUSES}
        terminal.write_line(f"{port}: {', '.join(f'{len(ids)} {s}' for s, ids in counts.items())}")
        for status in ("failed", "not offered"):
            if counts[status]:
                terminal.write_line(f"  {status}: {', '.join(counts[status])}", **COLOURS[status])


def as_json(found: Finding) -> str:
    """For programs: `port`, and `requirements` as objects."""
    return json.dumps(found, indent=1) + "\n"


def as_markdown(found: Finding) -> str:
    """For people who review."""
    return ""


def as_html(found: Finding) -> str:
    """For people who look."""
    return ""


WRITERS: dict[str, Callable[[Finding], str]] = {
    ".json": as_json,
    ".md": as_markdown,
    ".html": as_html,
}
