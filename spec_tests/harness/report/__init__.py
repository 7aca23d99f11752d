"""What a run found, requirement by requirement: gathered here, told by the files beside."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from spec_tests.harness.errors import BadPort, Breakdown, Refusal
from spec_tests.harness.judging import Nonconformance
from spec_tests.harness.porting import Port
from spec_tests.harness.report.html import as_html
from spec_tests.harness.report.terminal import show_groups, show_requirements
from spec_tests.harness.report.words import STATUSES, Finding, numbers
from spec_tests.harness.requirements import named_by, requirements
from timesformer_ref.atomic import whole_file
from timesformer_ref.cli.console import printable

NOT_OFFERED = "not offered: "
"""What the reason begins with for which a test is skipped that the port cannot take."""

OUTCOMES = {"failed": "failed", "passed": "passed", "skipped": "not offered"}

SLIPS = {"ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError"}
"""Errors of a port that is not whole yet."""


def as_json(found: Finding) -> str:
    """For programs: `port`, and `requirements` as objects."""
    return json.dumps(found, indent=1) + "\n"


WRITERS = {".json": as_json, ".html": as_html}
"""How a report is written, by the ending of the file's name."""


def verdict_of(report: pytest.TestReport, error: BaseException | None) -> Finding | None:
    """What one test found, in a form that travels between processes.

    None for a test that was skipped for a reason of its own, which tells nothing of the port.
    """
    verdict: Finding = {"outcome": report.outcome}
    if report.skipped:
        _, not_offered, reason = str(error).partition(NOT_OFFERED)
        return verdict | {"reason": reason} if not_offered else None
    if isinstance(error, Nonconformance):
        told = {"error": error.error, "bound": error.bound, "input": error.given}
        verdict |= {"message": printable(error.message), **told, "worst": error.worst}
        verdict["broken"] = _is_broken(error.__cause__)
    elif error is not None:
        line = next((line for line in str(error).splitlines() if line.strip()), "")
        verdict["message"] = printable(f"{type(error).__name__}: {line}")
    return json.loads(json.dumps(verdict, default=_plain))


def _is_broken(cause: BaseException | None) -> bool:
    """Whether the port got no further, so that no hint at a mistake in the model would help."""
    return isinstance(cause, Breakdown) or (isinstance(cause, Refusal) and cause.kind in SLIPS)


def _plain(value: Any) -> Any:
    """A number or array of NumPy as Python's."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


class Report:
    """A pytest plugin that gathers the verdicts of all tests, also those of other processes.

    paths: files to write, `.json` or `.html`. Raises BadPort for another kind of file, and
    for files about more than one port.
    """

    def __init__(self, ports: list[Port], paths: list[str]) -> None:
        self.ports, self.paths = {port.name: port for port in ports}, [Path(path) for path in paths]
        self.verdicts: dict[str, dict[str, list[Finding]]] = {
            name: defaultdict(list) for name in self.ports
        }
        if paths and len(ports) > 1:
            raise BadPort("--report: a report is about one port: name it with --port")
        for path in self.paths:
            if path.suffix not in WRITERS:
                raise BadPort(f"--report {path}: use a name that ends in {', '.join(WRITERS)}")
            if path.is_dir() or not path.parent.is_dir():
                what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
                raise BadPort(f"--report {path}: {what}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdict = _verdict(report)
        if verdict and (report.when == "call" or report.outcome != "passed"):
            for port in [verdict["port"]] if verdict["port"] else self.ports:
                for name in verdict["requirements"]:
                    self.verdicts[port][name].append(verdict)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Of a process that the port has ended comes no verdict, only the name of the test."""
        file, _, test = crashitem.partition("::")
        if Path(file).parent.name == "project":
            return
        name = f"spec_tests.{Path(file).stem}"
        ids = named_by(getattr(import_module(name), test.partition("[")[0]))
        failed = {"outcome": "failed", "message": "the port ended the whole process", "input": None}
        failed["broken"] = True
        verdict = failed | {"requirements": ids, "port": "", "test": f"{name}.{test}"}
        report.user_properties.append(("verdict", verdict))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> Generator[None]:
        """The report is the last thing to read, and failures that it tells are told only there."""
        if len(self.ports) > 1:
            yield
            if any(self.verdicts.values()):
                show_groups(
                    terminalreporter, {p: self.findings(p)["requirements"] for p in self.ports}
                )
            return
        failed = terminalreporter.stats.pop("failed", [])
        more = [r for r in failed if not _is_told(r) or config.option.tbstyle != "auto"]
        if more:
            terminalreporter.stats["failed"] = more
        yield
        if failed:
            terminalreporter.stats["failed"] = failed
        (port,) = self.ports
        if self.verdicts[port]:
            show_requirements(terminalreporter, self.findings(port))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files, where this is not one of several processes."""
        if hasattr(session.config, "workerinput") or session.config.option.collectonly:
            return
        for path in self.paths:
            text = WRITERS[path.suffix](self.findings(next(iter(self.ports))))
            with whole_file(path) as new:
                new.write_text(text, encoding="utf-8")

    def findings(self, port: str) -> Finding:
        """The port, and each requirement that was tested."""
        verdicts = self.verdicts[port]
        rows = [finding(name, verdicts[name]) for name in requirements() if name in verdicts]
        return {
            "port": port,
            "dtype": self.ports[port].dtype,
            "attention_types": list(self.ports[port].schemes),
            "counts": {s: sum(row["status"] == s for row in rows) for s in STATUSES},
            "of": len(requirements()),
            "requirements": rows,
        }


def _verdict(report: pytest.TestReport) -> Finding | None:
    return dict(report.user_properties).get("verdict")


def _is_told(report: pytest.TestReport) -> bool:
    """Whether all that is to say of a failure stands in its verdict."""
    return "input" in (_verdict(report) or {})


def finding(name: str, verdicts: list[Finding]) -> Finding:
    """A requirement, and what its tests found; of failures one, if possible on a shrunk input."""
    rule = requirements()[name]
    verdicts = sorted(verdicts, key=lambda verdict: verdict["test"])  # whoever was the first
    tests = Counter(OUTCOMES[verdict["outcome"]] for verdict in verdicts)
    status = next(status for status in STATUSES if status in tests)
    row = {"id": name, "group": rule.group, "requirement": rule.text, "status": status}
    row["tests"] = {s: tests[s] for s in STATUSES}
    if tests["not offered"]:
        row["reason"] = "; ".join(dict.fromkeys(v["reason"] for v in verdicts if "reason" in v))
    if status == "failed":
        failures = [v for v in verdicts if v["outcome"] == "failed"]
        shrunk = [v for v in failures if "config" in (v.get("input") or {})]
        told = ("message", "error", "bound", "input", "worst", "test")
        failure = (shrunk or failures)[0]
        row |= {key: failure.get(key) for key in told}
        row["hint"] = "" if failure.get("broken") else rule.hint
    return row


def text_of(verdict: Finding) -> str:
    """A failed test in words: what, where the numbers are worst, on which input."""
    worst = [f"  {line}" for line in numbers(verdict["worst"])]
    return "\n".join([verdict["message"], *worst, f"  input: {json.dumps(verdict['input'])}"])
