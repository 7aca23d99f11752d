"""The report of a run by requirement: gathered here, written by the modules of this package."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from spec_tests.harness.diagnosis import diagnose, read_records
from spec_tests.harness.errors import BadPort, Refusal
from spec_tests.harness.judging import AS_TELLING, Nonconformance, times_the_bound
from spec_tests.harness.porting import Port
from spec_tests.harness.probing import Probes
from spec_tests.harness.report.html import as_html
from spec_tests.harness.report.resting import withhold
from spec_tests.harness.report.terminal import show_groups, show_requirements
from spec_tests.harness.report.words import OUTCOMES, STATUSES, Finding, columns
from spec_tests.harness.requirements import Requirement, named_by, requirements, version
from timesformer_ref.atomic import whole_file
from timesformer_ref.cli.console import printable

NOT_OFFERED, NOT_RUN = "not offered: ", "not run: "
"""How the reason begins for which a test is skipped that the port cannot run, or takes too long
for."""

SHOWN = ("message", "kind", "error", "bound", "input", "worst", "test")
"""What a row shows of the failure that it is about."""

SIGNS = {"error": "error", "shape": "wrong shape", "not finite": "NaN", "in place": "in-place"}
"""The word for a kind of failure in hints that speak of it; other hints would mislead there."""

SLIPS = {"ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError"}
"""Errors that a port raises while it is still being written."""


def as_json(found: Finding) -> str:
    """The report as JSON, for programs (docs/ports.md lists its fields)."""
    return json.dumps(found, indent=1) + "\n"


WRITERS = {".json": as_json, ".html": as_html}
"""The function that writes a report, by the ending of the file's name."""


def verdict_of(report: pytest.TestReport, error: BaseException | None) -> Finding | None:
    """The outcome of one test as JSON types, so that other processes can send it.

    None for a test that was skipped for a reason that has nothing to do with the port.
    """
    verdict: Finding = {"outcome": report.outcome}
    if report.skipped:
        outcome, found, reason = str(error).partition(": ")
        known = f"{outcome}{found}" in (NOT_OFFERED, NOT_RUN)
        return {"outcome": outcome, "reason": reason} if known else None
    if left_out := [reason for name, reason in report.user_properties if name == "left out"]:
        verdict["reason"] = "; ".join(left_out)
    if isinstance(error, Nonconformance):
        numbers = {"error": error.error, "bound": error.bound, "worst": error.worst}
        verdict |= {"message": printable(error.message), "input": error.given, **numbers}
        verdict["kind"] = _kind(error)
    elif error is not None:
        line = next((line for line in str(error).splitlines() if line.strip()), "")
        verdict["message"] = printable(f"{type(error).__name__}: {line}")
    return json.loads(json.dumps(verdict, default=_plain))


def _kind(failure: Nonconformance) -> str:
    """The kind of a failure; a port that is still being written breaks down, it refuses nothing."""
    slipped = isinstance(failure.__cause__, Refusal) and failure.__cause__.kind in SLIPS
    return "breakdown" if slipped else failure.kind


def _plain(value: Any) -> Any:
    """A number or array of NumPy as Python numbers; anything else as a string."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


class Report:
    """A pytest plugin that gathers the outcomes of all tests, also those of other processes.

    paths: files to write, `.json` or `.html`. Raises BadPort for another kind of file, and
    for files about more than one port.
    """

    def __init__(self, ports: list[Port], paths: list[str]) -> None:
        self.ports, self.paths = {port.name: port for port in ports}, [Path(path) for path in paths]
        self.verdicts: dict[str, dict[str, list[Finding]]] = {
            name: defaultdict(list) for name in self.ports
        }
        self.calls: list[tuple[tuple[str, ...], bool, bytes]] = []
        self.diagnosed: Finding | None = None
        if paths and len(ports) > 1:
            raise BadPort("--report: a report is about one port: name it with --port")
        for path in self.paths:
            if path.suffix not in WRITERS:
                raise BadPort(f"--report {path}: use a name that ends in {', '.join(WRITERS)}")
            if path.is_dir() or not path.parent.is_dir():
                what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
                raise BadPort(f"--report {path}: {what}")

    is_worker = False

    def pytest_configure(self, config: pytest.Config) -> None:
        self.is_worker = hasattr(config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdict = _verdict(report)
        properties = dict(report.user_properties)
        if "calls" in properties and not self.is_worker:  # large, and of no use to other plugins
            report.user_properties.remove(("calls", properties["calls"]))
            failed = report.outcome == "failed"
            self.calls.append((tuple(verdict["requirements"]), failed, properties["calls"]))
        if verdict and (report.when == "call" or report.outcome != "passed"):
            for port in [verdict["port"]] if verdict["port"] else self.ports:
                for name in verdict["requirements"]:
                    self.verdicts[port][name].append(verdict)

    begun: str | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport, config: pytest.Config
    ) -> Generator[None, Any, Any]:
        """Name each requirement of a port before the letters of its tests, a group a line."""
        category, letter, word = yield
        verdict = _verdict(report) if isinstance(report, pytest.TestReport) else None
        in_order = len(self.ports) == 1 and config.getoption("dist", "no") == "no"
        if not (letter and verdict and in_order):
            return category, letter, word
        first = min(verdict["requirements"], key=list(requirements()).index)
        if first != self.begun:
            group, before = first.partition("-")[0], (self.begun or "").partition("-")[0]
            letter = f"{'  ' if group == before else chr(10)}{first} {letter}"
            self.begun = first
        return category, letter, word

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Record a failure where the port ended a worker process, which then sends no outcome."""
        file, _, test = crashitem.partition("::")
        if Path(file).parent.name == "project":
            return
        name = f"spec_tests.{Path(file).stem}"
        ids = named_by(getattr(import_module(name), test.partition("[")[0]))
        failed = {"outcome": "failed", "message": "the port ended the whole process", "input": None}
        failed["kind"] = "breakdown"
        verdict = failed | {"requirements": ids, "port": "", "test": f"{name}.{test}"}
        report.user_properties.append(("verdict", verdict))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> Generator[None]:
        """Show the report last, and leave out of pytest's own list the failures that it shows."""
        if len(self.ports) > 1:
            yield
            if any(self.verdicts.values()):
                show_groups(
                    terminalreporter, {p: self.findings(p)["requirements"] for p in self.ports}
                )
            return
        failed = terminalreporter.stats.pop("failed", [])
        more = [r for r in failed if not _is_shown(r) or config.option.tbstyle != "auto"]
        if more:
            terminalreporter.stats["failed"] = more
        yield
        if failed:
            terminalreporter.stats["failed"] = failed
        (port,) = self.ports
        if self.verdicts[port]:
            show_requirements(terminalreporter, self.findings(port))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Diagnose, and write the files, unless this process is a worker of pytest-xdist."""
        if self.is_worker or session.config.option.collectonly:
            return
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        if terminal and any(failed for _, failed, _ in self.calls):
            terminal.write_line("\nlooking for the mistake, for at most a minute")
        for path in self.paths:
            text = WRITERS[path.suffix](self.findings(next(iter(self.ports))))
            with whole_file(path) as new:
                new.write_text(text, encoding="utf-8")

    def findings(self, port: str) -> Finding:
        """The report on one port: its attributes, and a row per requirement that was tested."""
        verdicts = self.verdicts[port]
        rows = [finding(name, verdicts[name]) for name in requirements() if name in verdicts]
        withhold(rows)
        if self.diagnosed is None:
            failed = [row["id"] for row in rows if row["status"] == "failed"]
            tests = read_records(self.ports[port], self.calls)
            self.diagnosed = diagnose(tests, failed, Probes(self.ports[port]).left)
        return {
            "port": port,
            "specification": version(),
            **self.diagnosed,
            "dtype": self.ports[port].dtype,
            "attention_types": list(self.ports[port].schemes),
            "constraints": self.ports[port].limits,
            "counts": {s: sum(row["status"] == s for row in rows) for s in STATUSES},
            "of": len(requirements()),
            "requirements": rows,
        }


def _verdict(report: pytest.TestReport) -> Finding | None:
    return dict(report.user_properties).get("verdict")


def _is_shown(report: pytest.TestReport) -> bool:
    """Whether the report shows all of a failure, so that pytest need not."""
    return "input" in (_verdict(report) or {})


def finding(name: str, verdicts: list[Finding]) -> Finding:
    """The row of a requirement. Of several failures it shows the most telling one."""
    rule = requirements()[name]
    tests = Counter(verdict["outcome"] for verdict in verdicts)
    reasons = dict.fromkeys(v["reason"] for v in sorted(verdicts, key=_test) if "reason" in v)
    status = next(outcome for outcome in OUTCOMES if tests[outcome])
    if status == "passed" and reasons:
        status = "passed, in part"
    row = {"id": name, "group": rule.group, "requirement": rule.text, "status": status}
    row["tests"] = {outcome: tests[outcome] for outcome in OUTCOMES}
    if reasons:
        row["reason"] = "; ".join(reasons)
    if status == "failed":
        failure = most_telling([v for v in verdicts if v["outcome"] == "failed"])
        row |= {key: failure.get(key) for key in SHOWN}
        row["hint"] = hint(rule, failure.get("kind", "numbers"))
    return row


def most_telling(failures: list[Finding]) -> Finding:
    """Of the failures that are farthest off their bounds one on a shrunk input, if there is one."""
    failures = sorted(failures, key=_test)  # in whichever order they ended
    near = [f for f in failures if _times(f) >= max(map(_times, failures)) / AS_TELLING]
    return next((f for f in near if "config" in (f.get("input") or {})), near[0])


def _test(verdict: Finding) -> str:
    return verdict["test"]


def _times(failure: Finding) -> float:
    return times_the_bound(failure.get("error"), failure.get("bound"))


def hint(rule: Requirement, kind: str) -> str:
    """What usually breaks a requirement, where that would show in this kind of failure."""
    return rule.hint if kind == "numbers" or SIGNS.get(kind, "\0") in rule.hint else ""


def text_of(verdict: Finding) -> str:
    """A failed test as text: what happened, the largest errors, the input."""
    worst = [f"  {line}" for line in columns(verdict["worst"])]
    return "\n".join([verdict["message"], *worst, f"  input: {json.dumps(verdict['input'])}"])
