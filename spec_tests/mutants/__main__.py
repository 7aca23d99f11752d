"""Does the suite catch every wrong port? python -m spec_tests.mutants [NAME...] [--json FILE]

Each mutant is tested until a test of its guilty block's requirements fails; these run first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from spec_tests.conftest import requirements_of
from spec_tests.mutants.table import MUTANTS, Mutant

SUITE = str(Path(__file__).parents[1])


class FirstLocated:
    """A pytest plugin that runs the tests of some groups first, and ends at their first failure."""

    def __init__(self, groups: list[str]) -> None:
        self.groups = groups
        self.found: dict[str, Any] | None = None

    def guilty(self, requirements: Iterable[str]) -> list[str]:
        """Those of the requirements that belong to the guilty groups."""
        return [name for name in requirements if name.rpartition("-")[0] in self.groups]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: not self.guilty(requirements_of(item)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdict = dict(report.user_properties).get("verdict")
        if not self.found and verdict and verdict["outcome"] == "failed":
            for name in self.guilty(verdict["requirements"]):
                shown = {key: verdict.get(key) for key in ("message", "error", "bound", "input")}
                self.found = {"requirement": name, **shown}

    def pytest_runtest_setup(self) -> None:
        if self.found:
            pytest.exit("located")


def run_suite(port: str, *options: str, plugins: Sequence[object] = ()) -> int:
    """Run the suite on a port without a word; pytest's exit code."""
    options = ("-q", "-p", "no:cacheprovider", "--port", port, *options)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        return pytest.main([SUITE, *options], plugins=plugins)


def judge(mutant: Mutant) -> dict[str, Any]:
    """The first failure that locates the mistake of one mutant, if there is one."""
    plugin = FirstLocated(mutant.group.split())
    start = perf_counter()
    code = run_suite(f"mutant:{mutant.name}", plugins=[plugin])
    if not plugin.found and code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the suite did not run on {mutant.name}: {code!r}")
    if "NameError" in str(plugin.found):
        raise RuntimeError(f"{mutant.name} does not run: {plugin.found}")
    seconds = round(perf_counter() - start, 1)
    row = {"name": mutant.name, "group": mutant.group, "mistake": mutant.mistake}
    found = plugin.found or {"requirement": None}
    return row | found | {"seconds": seconds}


def main() -> int:
    """Judge the mutants that are named, `--jobs` at a time. Returns 1 if one was not caught."""
    parser = argparse.ArgumentParser(prog="python -m spec_tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    args = parser.parse_args()
    if unknown := set(args.names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not args.names or mutant.name in args.names]
    console, found = Console(), []
    # Imports the tests here, once, and not in every process.
    run_suite("spec_tests.ports.numpy_port", "--collect-only")
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        get_context("fork").Pool(args.jobs, torch.set_num_threads, (1,), 1) as pool,
    ):
        task = progress.add_task("mutants", total=len(chosen))
        for verdict in pool.imap(judge, chosen):
            found.append(verdict)
            progress.advance(task)
            where = verdict["requirement"] or "ESCAPED"
            console.print(f"{verdict['name']:36} {where:10} {verdict['seconds']:5.1f} s")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    escaped = [verdict["name"] for verdict in found if not verdict["requirement"]]
    console.print(f"{len(found) - len(escaped)} of {len(found)} mutants failed and located")
    return bool(escaped)


if __name__ == "__main__":
    sys.exit(main())
