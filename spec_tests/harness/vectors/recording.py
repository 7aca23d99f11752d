"""A port that answers rightly and records each call of the suite, and what is asked of its answer.

So the vectors are the suite, and no second list of cases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spec_tests.conftest import call_of, requirements_of
from spec_tests.harness import reference
from spec_tests.harness.arithmetic import each_array
from spec_tests.harness.judging import Answer, Question
from spec_tests.harness.porting import Port
from spec_tests.harness.vectors.left_out import reason, row
from timesformer_ref.schemes import SCHEMES

SUITE = Path(__file__).parents[2]

Show = Callable[[str, int, int], None]
"""Shows progress: what is being done, how much is done, how much there is."""


@dataclass(eq=False)
class Check:
    """What a test asks of an answer: `expected` at the index `look`.

    judge: the question whose bound counts. same_as: the call to whose answer this one has to be
    equal. exactly: without an error.
    """

    judge: Question
    expected: Answer
    look: Any
    same_as: Call | None
    exactly: bool


@dataclass(eq=False)
class Call:
    """One call of a test.

    arguments: by name, as the port got them. answer: the right one; None for a refusal.
    """

    question: Question
    arguments: dict[str, Any]
    answer: Answer | None
    checks: list[Check] = field(default_factory=list)

    @cached_property
    def weights_digest(self) -> bytes:
        """Equal for the same weights."""
        digest = blake2b()
        for name, w in self.arguments.get("weights", {}).items():
            digest.update(f"{name}{w.shape}".encode() + w.tobytes())
        return digest.digest()


@dataclass(eq=False)
class Test:
    """A test with the calls that it made: a list for each of its inputs."""

    name: str
    requirements: list[str]
    inputs: list[list[Call]] = field(default_factory=list)

    def end(self) -> None:
        """Leave out inputs without calls; without drawn inputs each call stands alone.

        Unless one is compared with another.
        """
        own, *drawn = self.inputs
        together = any(check.same_as for call in own for check in call.checks)
        alone = [own] if together else [[call] for call in own]
        self.inputs = [calls for calls in drawn if calls] if drawn else alone


class Recorder(Port):
    """The reference as a port that records what the suite does with it."""

    def __init__(self) -> None:
        super().__init__(reference, reference.__name__)
        self.schemes = tuple(SCHEMES)
        self.tests: list[Test] = []
        self._calls: dict[int, tuple[np.ndarray, Call]] = {}
        self._questions: dict[int, Call] = {}

    def begin(self, name: str, requirements: list[str]) -> None:
        """A test begins."""
        self.tests.append(Test(name, requirements))
        self.next_input()

    def end(self) -> None:
        """A test ends."""
        self.tests[-1].end()

    def next_input(self) -> None:
        """A test begins with another input."""
        super().next_input()
        self.tests[-1].inputs.append([])

    def call(self, function: str, *args: Any) -> Any:
        """The right answer to what a float32 port gets, in float64."""
        return super().call(function, *each_array(np.float64, args))

    def answered(self, question: Any, answer: Any) -> None:
        """Keep a call with its answer."""
        call = Call(question, question.handed(), answer)
        self.tests[-1].inputs[-1].append(call)
        self._questions[id(question)] = call
        for array in (answer or {}).values():
            self._calls[id(array)] = array, call

    def compared(self, question: Any, actual: Any, expected: Any, exactly: Any = None) -> bool:
        """Keep what is asked of an answer. The suite judges the reference's elsewhere."""
        call, other = self._made(actual), self._made(expected)
        if other:
            self._put_before(other, call)
        look = question.look if exactly is None else exactly
        call.checks.append(Check(question, expected, look, other, exactly is not None))
        return True

    def _put_before(self, first: Call, then: Call) -> None:
        """Let a call come before another of the same input, whose answer is compared with its."""
        calls = self.tests[-1].inputs[-1]
        if calls.index(first) > calls.index(then):
            calls.remove(first)
            calls.insert(calls.index(then), first)

    def arguments_of(self, question: Question) -> dict[str, Any]:
        """The arguments of a question as the port got them, in float64."""
        call = self._questions.get(id(question))
        return each_array(np.float64, call.arguments if call else question.handed())

    def _made(self, answer: Answer) -> Call | None:
        """The call that returned all of these arrays."""
        found = {id(self._calls.get(id(array), (None, None))[1]) for array in answer.values()}
        _, call = self._calls.get(id(next(iter(answer.values()))), (None, None))
        return call if len(found) == 1 else None


class Plugin:
    """A pytest plugin that has the suite judge a recorder, but for the tests with a reason not to.

    show: see `record`.
    """

    def __init__(self, recorder: Recorder, show: Show) -> None:
        self.recorder, self.show = recorder, show
        self.left_out: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.count = self.done = 0

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.ports = [self.recorder]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            name, ids = _name(item), requirements_of(item)
            if why := reason(item.originalname, ids):
                self.left_out.append(row(name, ids, why))
        left_out = {row["test"] for row in self.left_out}
        items[:] = [item for item in items if _name(item) not in left_out]
        self.count = len(items)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.recorder.begin(_name(item), requirements_of(item))

    def pytest_runtest_teardown(self) -> None:
        self.recorder.end()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longreprtext}")
        if report.when == "teardown":
            self.done += 1
            self.show("run the suite", self.done, self.count)


def _name(item: pytest.Item) -> str:
    """A test as reports name it."""
    return call_of(item, {n: x for n, x in item.callspec.params.items() if n != "port"})


Recorded = tuple[Recorder, list[dict[str, Any]]]


def silent(*progress: object) -> None:
    """Show nothing."""


def record(show: Show, only: str = "") -> Recorded:
    """Run the suite on a recorder; also returns a row for each test that was left out.

    show: is called after each test. only: which tests, as pytest's -k.
    Raises RuntimeError where the reference fails a test.
    """
    recorder = Recorder()
    plugin = Plugin(recorder, show)
    options = [f"--rootdir={SUITE}", f"--confcutdir={SUITE}", "-p", "no:cacheprovider", "-q"]
    options += ["-c", os.devnull, f"--port={reference.__name__}", "-k", only]
    said = StringIO()
    with redirect_stdout(said):
        code = pytest.main([str(SUITE), *options], plugins=[plugin])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise RuntimeError("\n".join(plugin.failed) or said.getvalue())
    return recorder, plugin.left_out
