"""Judging a port's results: the expected ones, the bound of their error, and what a failure shows.

The reference is the NumPy implementation in float64. The bound is derived: `ROUNDINGS` times the
largest error that the reference itself makes on the same input if each of its operations rounds as
the port's arithmetic does. `arithmetic.py` gives the reasons.
"""

from __future__ import annotations

import inspect
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any
from zlib import crc32

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from spec_tests.harness import reference
from spec_tests.harness.arithmetic import SINGLE, Arithmetic, each_array, noisy
from spec_tests.harness.cases import Case, drawn_cases
from spec_tests.harness.errors import Breakdown, NotOffered, NotRun, Refusal
from spec_tests.harness.interface import FRAMES, FUNCTIONS, LAYOUTS
from spec_tests.harness.porting import Port
from timesformer_ref.schemes import SCHEMES

ROUNDINGS = 16
"""How many times the measured rounding error a port's result may be off."""

TRIALS = 3
"""How many noisy runs measure the rounding error; the largest counts."""

AFTER_FAILURE, AFTER_BREAKDOWN = 40, 4
"""How many new inputs Hypothesis may try after a failure, to find a smaller one that fails; fewer
where each of them ends the port's program."""

UNMEASURED = 1e4
"""An error, a wrong shape or a NaN tells as much as being so many times off the bound: more than
the trace of a mistake elsewhere, less than numbers that are quite wrong."""

AS_TELLING = 10
"""A failure tells as much as another one that is at most so many times farther off its bound."""

Answer = dict[str, np.ndarray]
"""The result of a function: its arrays by name. The name of a single array is empty."""


KINDS = ("breakdown", "error", "type", "shape", "not finite", "in place", "numbers")
"""What may be wrong with an answer, the plainest first."""


class Nonconformance(AssertionError):
    """A result of the port is wrong.

    message: what happened. given: the input, as a report shows it. error, bound: relative to the
    largest expected number. worst: where the errors are largest, as (place, expected, actual).
    kind: what was wrong, one of `KINDS`. asked: the questions that led to it.
    """

    asked: tuple[Question, ...] = ()

    def __init__(
        self,
        message: str,
        given: dict[str, Any],
        error: float | None = None,
        bound: float | None = None,
        worst: list[tuple[str, float, float]] | None = None,
        kind: str = "numbers",
    ) -> None:
        super().__init__(message)
        self.message, self.given, self.kind = message, given, kind
        self.error, self.bound, self.worst = error, bound, worst or []


def times_the_bound(error: float | None, bound: float | None) -> float:
    """How telling a failure is: its error in bounds, or what stands for it where there is none."""
    if error is None or bound is None:
        return UNMEASURED
    return error / bound if bound else np.inf


class NotJudged(Exception):
    """There is nothing to judge: a port of fixed sizes refused another size, as it may."""


class Question:
    """One call of a port's function: its arguments, the expected result, and the bound.

    look: the index of the part of the result that counts. changes: arguments by name in place of
    the case's own; `layer` is 0 by default. found: the port's answer as it came, None where there
    is none. published: the name of a call at full size. Raises NotOffered for a scheme that the
    port lacks.
    """

    found: Answer | None = None
    published: str = ""

    def __init__(
        self, port: Port, case: Any, function: str, look: Any = ..., **changes: Any
    ) -> None:
        if hasattr(case, "config"):
            port.offered((case.config.attention_type,))
            port.constraints.check(case.config, getattr(case, "clip", None))
        self.port, self.case, self.function, self.look = port, case, function, look
        self.right = getattr(reference, function)
        names = FUNCTIONS[function]
        own = {n: getattr(case, n, 0) for n in names if n not in changes}
        self.arguments = {n: changes[n] if n in changes else own[n] for n in names}

        self.may_refuse = False
        """Whether any port may refuse this call."""

    @property
    def arithmetic(self) -> Arithmetic:
        """The arithmetic of the result: views of a video are float32, whatever the model's is."""
        return SINGLE if self.function == "crops" else self.port.arithmetic

    @cached_property
    def expected(self) -> Answer:
        """The reference's result."""
        return _once(("expected", *self._key), lambda: self._reference(self.arguments))

    @cached_property
    def allowed(self) -> dict[str, float]:
        """The largest error that each part of the result may have, as an absolute number."""
        allowed = self.bounds(self.arithmetic)
        assert all(map(np.isfinite, allowed.values())), f"out of the range of {self.port.dtype}"
        return allowed

    def bounds(self, arithmetic: Arithmetic) -> dict[str, float]:
        """The largest error of each part in this arithmetic; infinite where it is out of range."""
        key = "allowed", arithmetic, repr(self.look), *self._key
        return _once(key, lambda: self._bounds(arithmetic))

    @cached_property
    def _key(self) -> tuple[str, bytes]:
        """Equal for the same function and arguments, also of another port."""
        return self.function, blake2b(pickle.dumps(self.arguments)).digest()

    def _bounds(self, arithmetic: Arithmetic) -> dict[str, float]:
        errors = {n: arithmetic.unit * _largest(x[self.look]) for n, x in self.expected.items()}
        rounded = each_array(arithmetic.round, self.arguments)
        for trial in range(TRIALS):
            add_noise = partial(noisy, arithmetic, np.random.default_rng(trial))
            found = self._reference(each_array(add_noise, rounded))
            for name, exact in self.expected.items():
                off = np.asarray(found[name])[self.look] - exact[self.look]
                errors[name] = float(np.maximum(errors[name], _largest(off)))  # NaN counts
        return {n: ROUNDINGS * error if error < np.inf else np.inf for n, error in errors.items()}

    def _reference(self, arguments: dict[str, Any]) -> Answer:
        unchecked = jaxtyping.config.jaxtyping_disable
        jaxtyping.config.update("jaxtyping_disable", True)  # shapes are checked in the port's call
        try:
            return parts(self.right(*arguments.values()))
        finally:
            jaxtyping.config.update("jaxtyping_disable", unchecked)

    def answer(self) -> Answer:
        """Call the port and return its result, whose names, shapes and types are checked.

        Raises Nonconformance where they are wrong, where a number is not finite, where the port
        changed an argument in place, and where it raised an error or broke down.
        """
        self.port.asked.append(self)
        handed = self.handed()
        before = deepcopy(handed)
        try:
            try:
                answer = self.found = parts(self._called(handed))
            finally:  # a port that takes weights away and then fails would fail the next call too
                self._check_arguments(before, handed)
        except Refusal as refusal:
            if self.may_refuse or self._is_of_another_size():
                raise NotJudged(str(refusal)) from refusal
            raise self.failure(f"raised an error: {refusal}", kind="error") from refusal
        answer = self._checked(answer)
        self.port.answered(self, answer)
        return answer

    def refused(self, message: str) -> None:
        """Raise Nonconformance with this message unless the port raises an error."""
        try:
            self._called(self.handed())
        except Refusal:
            self.port.answered(self, None)
        else:
            raise self.failure(message)

    def handed(self) -> dict[str, Any]:
        """Copies of the arguments in the types that the port takes, by name."""
        return {name: self._handed(value) for name, value in self.arguments.items()}

    def _called(self, handed: dict[str, Any]) -> Any:
        try:
            return self.port.call(self.function, *handed.values())
        except Breakdown as breakdown:
            raise self.failure(str(breakdown), kind="breakdown") from breakdown

    def compare(self, actual: Answer, expected: Answer, what: str = "") -> None:
        """Raise Nonconformance where two results differ by more than the bound."""
        if self.port.compared(self, actual, expected):
            return
        for name in expected:
            found, right = actual[name][self.look], expected[name][self.look]
            scale = _largest(right) or 1.0
            error = _largest(found - right)
            no_digit_left = self.arithmetic.leaves_no_digit(self.allowed[name], scale)
            if error <= self.allowed[name] or (no_digit_left and np.isfinite(error)):
                continue
            of = f" of {name}" if name else ""
            relation = f" {what}" if what else ""
            raise self.failure(
                f"off by {error / scale:.1e}{of}{relation}, "
                f"the bound is {self.allowed[name] / scale:.1e}",
                error / scale,
                self.allowed[name] / scale,
                _worst(found, right),
            )

    def equal(self, actual: Answer, expected: Answer, message: str, look: Any = ...) -> None:
        """Raise Nonconformance with this message where two results differ at all."""
        self.port.compared(self, actual, expected, exactly=look)
        for name in expected:
            found, right = actual[name][look], expected[name][look]
            if not np.array_equal(found, right):
                what = f"{name} {message}" if name else message
                raise self.failure(what, _largest(found - right), 0.0, _worst(found, right))

    def failure(self, message: str, *numbers: Any, kind: str = "numbers") -> Nonconformance:
        """A Nonconformance with this message and the input of this call."""
        place = {n: self.arguments[n] for n in ("layer", "step") if n in self.arguments}
        given = self.case.describe() | {"function": self.function} | place
        step = f" ({place['step']})" if "step" in place else ""
        message = f"{self.function}{step}: {message}"
        failure = Nonconformance(message, given, *numbers, kind=kind)
        failure.asked = tuple(self.port.asked)
        return failure

    def _handed(self, value: Any) -> Any:
        """A C-contiguous copy of an argument in the type that the port takes."""
        if isinstance(value, Mapping):  # the same for the same weights, to load them once
            convert = partial(each_array, self._converted)
            return self.port.converted.of(value, convert)
        return self._converted(value) if isinstance(value, np.ndarray) else value

    def _converted(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind == "f":
            kind = np.float64 if self.port.dtype == "float64" else np.float32
            if x.dtype != kind or self.port.dtype != x.dtype.name:
                x = self.port.arithmetic.round(x).astype(kind)
        return np.array(x, order="C")

    def _check_arguments(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Raise Nonconformance where an array, or the names of the weights, have changed."""
        for name, value in before.items():
            old, new = (x if isinstance(x, Mapping) else {name: x} for x in (value, after[name]))
            for key in [*old, *(new.keys() - old.keys())]:
                if key not in new or key not in old:
                    what = f"{'added' if key in new else 'removed'} {key!r} in its argument {name}"
                elif not isinstance(old[key], np.ndarray) or np.array_equal(
                    old[key], new[key], equal_nan=True
                ):
                    continue
                else:
                    what = f"changed its argument {key} in place"
                self.port.converted.forget()
                raise self.failure(what, kind="in place")

    def _checked(self, answer: Answer) -> Answer:
        if what := _unlike(answer, self.expected):
            raise self.failure(what, kind="type")
        for name, right in self.expected.items():
            of = f" of {name}" if name else ""
            found = answer[name]
            if found.shape != right.shape:
                what = f"shape {found.shape}{of}, expected {right.shape}"
                raise self.failure(f"{what}{self._axes(name)}", kind="shape")
            if found.dtype.kind not in "fiu":
                raise self.failure(f"type {found.dtype}{of}, expected numbers", kind="type")
            if not np.isfinite(found).all():
                bad = np.argwhere(~np.isfinite(found))
                what = f"{len(bad)} of {found.size} {found.dtype} values{of} are not finite"
                raise self.failure(f"{what}, the first at {bad[0].tolist()}", kind="not finite")
        return {name: x.astype(np.float64) for name, x in answer.items()}

    def _axes(self, name: str) -> str:
        """The axes of the result in words, for the message about a wrong shape."""
        layout = "" if name else LAYOUTS.get(self.function, "")
        config = getattr(self.case, "config", None)
        if config and config.separate_frames and layout == LAYOUTS["block"]:
            layout = FRAMES
        return layout and f": {layout}"

    def _is_of_another_size(self) -> bool:
        """Whether the port declares that it refuses a clip of this size."""
        config, grid = getattr(self.case, "config", None), getattr(self.case, "grid", None)
        if config is None or grid is None:
            return False
        other_size = tuple(self.case.clip[-2:]) != (config.image_size,) * 2
        return (self.port.fixed_frames and grid[0] != config.num_frames) or (
            self.port.fixed_frame_size and other_size
        )


MADE: OrderedDict[Any, Any] = OrderedDict()
"""Cache of the last cases, reference results and bounds, which the next port needs again."""


def _once(key: Any, make: Callable[[], Any]) -> Any:
    if key not in MADE:
        MADE[key] = make()
        if len(MADE) > 1000:
            MADE.popitem(last=False)
    return MADE[key]


def agree(
    port: Port, case: Any, function: str, *, golden: Any = None, look: Any = ..., **changes: Any
) -> None:
    """Check that the port's function returns the golden numbers if given, else the reference's.

    For `look` and `changes` see `Question`. Raises Nonconformance where it does not.
    """
    question = Question(port, case, function, look, **changes)
    expected = question.expected if golden is None else parts(golden)
    question.compare(question.answer(), expected)


def parts(answer: Any) -> Answer:
    """A result as arrays by name."""
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping):
        loss = np.asarray(answer[0])  # one number, of any shape
        return {"the loss": loss.reshape(()) if loss.size == 1 else loss} | parts(answer[1])
    if isinstance(answer, Mapping):
        return {name: np.asarray(x) for name, x in answer.items()}
    return {"": np.asarray(answer)}


def _unlike(answer: Answer, expected: Answer) -> str:
    """What is wrong with the parts of an answer, if anything is."""
    lacking, extra = expected.keys() - answer.keys(), answer.keys() - expected.keys()
    if "" in lacking and "the loss" in extra:
        return "returned a pair, expected one array"
    if "" in lacking:
        return f"returned arrays by name ({_some(extra)}), expected one array"
    if "" in extra:
        return f"returned one array, expected arrays by name ({_some(lacking)})"
    if "the loss" in lacking:
        return "returned arrays by name without the loss, expected a pair: the loss and these"
    lacks = [f"lacks {_some(lacking)}"] if lacking else []
    return ", ".join(lacks + ([f"has {_some(extra)} besides"] if extra else []))


def _some(names: Iterable[str]) -> str:
    """The first three of some names."""
    first, *more = [repr(name) for name in sorted(names)]
    shown = ", ".join([first, *more[:2]])
    return shown if len(more) < 3 else f"{shown} and {len(more) - 2} more"


def _largest(x: np.ndarray) -> float:
    return float(np.abs(np.asarray(x)).max(initial=0.0))


def _worst(actual: np.ndarray, expected: np.ndarray) -> list[tuple[str, float, float]]:
    """The three places with the largest errors."""
    order = np.argsort(-np.abs(actual - expected), axis=None)[:3]
    places = [np.unravel_index(i, expected.shape) for i in order]
    return [(f"[{', '.join(map(str, p))}]", float(expected[p]), float(actual[p])) for p in places]


requirement = pytest.mark.requirement
"""The mark that names the requirements that a test checks."""


def for_cases(
    schemes: tuple[str, ...] = tuple(SCHEMES),
    examples: int = 8,
    rather: tuple[str, ...] = tuple(SCHEMES),
    **constraints: Any,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that runs a test `(port, case, …)` on cases that Hypothesis draws.

    schemes: of these, the ones that the port has are drawn; if some of them are in `rather`, only
    those. examples: how many cases. constraints: see `drawn_cases`.
    The test counts as not offered if the port lacks the function, or refuses the size of each case
    as it may.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def test(**arguments: Any) -> None:
            port = arguments["port"]
            offered = port.offered(schemes)
            offered = tuple(s for s in offered if s in rather) or offered
            port.constraints.allow(constraints)
            count = settings.default.max_examples * examples // 100
            Trials(check, arguments).run(drawn_cases(port, offered, **constraints), max(count, 1))

        test.check = check  # called with the case of a report (docs/ports.md)
        parameters = inspect.signature(check).parameters
        test.__signature__ = inspect.Signature([p for n, p in parameters.items() if n != "case"])
        test.__name__, test.__doc__, test.__module__ = (
            check.__name__,
            check.__doc__,
            check.__module__,
        )
        return test

    return decorate


class Trials:
    """The cases of one test: each is judged, then the most telling failure is made smaller."""

    def __init__(self, check: Callable[..., None], arguments: dict[str, Any]) -> None:
        self.check, self.arguments = check, arguments
        self.outcomes: dict[str, Exception | None] = {}
        self.left = np.inf

    def run(self, drawn: SearchStrategy[dict[str, Any]], count: int) -> None:
        """Judge this many cases.

        Raises the failure of a case that is as small as possible and fails about as badly as the
        worst one does: a trace of another mistake may fail on a smaller one. Raises NotOffered if
        no case could be judged; where some could not, the reason is noted.
        """
        number = crc32(self.check.__qualname__.encode())  # other inputs in each test
        if not settings.default.derandomize:
            number = random.getrandbits(32)
        self._search(drawn, count, number, [Phase.generate], self.judge)
        if self._failures():
            self.left = AFTER_BREAKDOWN if self._broke_down() else AFTER_FAILURE
            worst = max(self._failures(), key=lambda f: (_telling(f), -KINDS.index(_kind(f))))
            shrink = partial(self.judge, worst=worst)
            self._search(drawn, count, number, [Phase.generate, Phase.shrink], shrink)
            raise worst.with_traceback(None)  # a port that fails now and then
        left_out = dict.fromkeys(str(o) for o in self.outcomes.values() if o is not None)
        if left_out and None not in self.outcomes.values():
            late = any(isinstance(outcome, NotRun) for outcome in self.outcomes.values())
            raise (NotRun if late else NotOffered)("; ".join(left_out))
        LEFT_OUT.extend(left_out)

    def _search(
        self, drawn: Any, count: int, number: int, phases: list[Phase], run: Callable[..., None]
    ) -> None:
        """Let Hypothesis draw cases, the same ones for the same number."""
        unhurried = settings(
            max_examples=count,
            phases=phases,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )

        def test(case: dict[str, Any]) -> None:
            run(case)

        unhurried(seed(number)(given(drawn)(test)))()

    def judge(self, drawn: dict[str, Any], worst: Exception | None = None) -> None:
        """Run the test on one case, unless it has been or too many have failed.

        Raises its failure if that tells as much as the worst one.
        """
        key = repr(drawn)
        if key not in self.outcomes and self.left > 0:
            self.left -= 1
            self.outcomes[key] = self._outcome(key, drawn)
            if self._broke_down():
                self.left = min(self.left, AFTER_BREAKDOWN)
        found = self.outcomes.get(key)
        if worst and _is_failure(found) and _tells_as_much(found, worst):
            raise found.with_traceback(None)

    def _outcome(self, key: str, drawn: dict[str, Any]) -> Exception | None:
        """What the test raised on this case."""
        self.arguments["port"].next_input()
        try:
            self.check(case=_once(key, lambda: Case(**drawn)), **self.arguments)
        except Exception as outcome:
            return outcome
        return None

    def _failures(self) -> list[Exception]:
        return [found for found in self.outcomes.values() if _is_failure(found)]

    def _broke_down(self) -> bool:
        return any(isinstance(found.__cause__, Breakdown) for found in self._failures())


LEFT_OUT: list[str] = []
"""Why the running test could not judge some of its cases; the plugin reads and empties it."""


def _is_failure(outcome: Exception | None) -> bool:
    return outcome is not None and not isinstance(outcome, NotOffered | NotJudged | NotRun)


def _telling(failure: Exception) -> float:
    numbers = (getattr(failure, name, None) for name in ("error", "bound"))
    return times_the_bound(*numbers)


def _tells_as_much(failure: Exception, worst: Exception) -> bool:
    return _kind(failure) == _kind(worst) and _telling(failure) >= _telling(worst) / AS_TELLING


def _kind(failure: Exception) -> str:
    return getattr(failure, "kind", KINDS[0])
