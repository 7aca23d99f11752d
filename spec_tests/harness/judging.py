"""Judging a port's results: the expected ones, the bound of their error, and what a failure shows.

The reference is the NumPy implementation in float64. The bound is derived: `ROUNDINGS` times the
largest error that the reference itself makes on the same input if each of its operations rounds as
the port's arithmetic does. `arithmetic.py` gives the reasons.
"""

from __future__ import annotations

import inspect
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any
from zlib import crc32

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from spec_tests.harness import reference
from spec_tests.harness.arithmetic import SINGLE, Arithmetic, each_array, noisy
from spec_tests.harness.cases import Case, drawn_cases
from spec_tests.harness.errors import Breakdown, NotOffered, Refusal
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.porting import Port
from timesformer_ref.schemes import SCHEMES

ROUNDINGS = 16
"""How many times the measured rounding error a port's result may be off."""

TRIALS = 3
"""How many noisy runs measure the rounding error; the largest counts."""

AFTER_FAILURE, AFTER_BREAKDOWN = 40, 4
"""How many new inputs Hypothesis may try after a failure, to find a smaller one that fails; fewer
where each of them ends the port's program."""

Answer = dict[str, np.ndarray]
"""The result of a function: its arrays by name. The name of a single array is empty."""


class Nonconformance(AssertionError):
    """A result of the port is wrong.

    message: what happened. given: the input, as a report shows it. error, bound: relative to the
    largest expected number. worst: where the errors are largest, as (place, expected, actual).
    """

    def __init__(
        self,
        message: str,
        given: dict[str, Any],
        error: float | None = None,
        bound: float | None = None,
        worst: list[tuple[str, float, float]] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.given = message, given
        self.error, self.bound, self.worst = error, bound, worst or []


class NotJudged(Exception):
    """There is nothing to judge: a port of fixed sizes refused another size, as it may."""


class Question:
    """One call of a port's function: its arguments, the expected result, and the bound.

    look: the index of the part of the result that counts. changes: arguments by name in place of
    the case's own; `layer` is 0 by default. Raises NotOffered for a scheme that the port lacks.
    """

    def __init__(
        self, port: Port, case: Any, function: str, look: Any = ..., **changes: Any
    ) -> None:
        if hasattr(case, "config"):
            port.offered((case.config.attention_type,))
        self.port, self.case, self.function, self.look = port, case, function, look
        self.right = getattr(reference, function)
        names = FUNCTIONS[function]
        own = {n: getattr(case, n, 0) for n in names if n not in changes}
        self.arguments = {n: changes[n] if n in changes else own[n] for n in names}

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
        return _once(("allowed", self.arithmetic, repr(self.look), *self._key), self._bounds)

    @cached_property
    def _key(self) -> tuple[str, bytes]:
        """Equal for the same function and arguments, also of another port."""
        return self.function, blake2b(pickle.dumps(self.arguments)).digest()

    def _bounds(self) -> dict[str, float]:
        arithmetic = self.arithmetic
        errors = {n: arithmetic.unit * _largest(x[self.look]) for n, x in self.expected.items()}
        rounded = each_array(arithmetic.round, self.arguments)
        for trial in range(TRIALS):
            add_noise = partial(noisy, arithmetic, np.random.default_rng(trial))
            found = self._reference(each_array(add_noise, rounded))
            for name, exact in self.expected.items():
                off = np.asarray(found[name])[self.look] - exact[self.look]
                errors[name] = max(errors[name], _largest(off))
        assert all(map(np.isfinite, errors.values())), f"out of the range of {self.port.dtype}"
        return {name: ROUNDINGS * error for name, error in errors.items()}

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
        handed = {name: self._handed(value) for name, value in self.arguments.items()}
        before = each_array(np.copy, handed)
        try:
            answer = parts(self.port.call(self.function, *handed.values()))
        except Refusal as refusal:
            if self._may_refuse():
                raise NotJudged(str(refusal)) from refusal
            raise self.failure(f"raised an error: {refusal}") from refusal
        except Breakdown as breakdown:
            raise self.failure(str(breakdown)) from breakdown
        self._check_arguments(before, handed)
        return self._checked(answer)

    def compare(self, actual: Answer, expected: Answer, what: str = "") -> None:
        """Raise Nonconformance where two results differ by more than the bound."""
        for name in expected:
            found, right = actual[name][self.look], expected[name][self.look]
            scale = _largest(right) or 1.0
            error = _largest(found - right)
            if error <= self.allowed[name]:
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

    def failure(self, message: str, *numbers: Any) -> Nonconformance:
        """A Nonconformance with this message and the input of this call."""
        place = {n: self.arguments[n] for n in ("layer", "step") if n in self.arguments}
        given = self.case.describe() | {"function": self.function} | place
        step = f" ({place['step']})" if "step" in place else ""
        return Nonconformance(f"{self.function}{step}: {message}", given, *numbers)

    def _handed(self, value: Any) -> Any:
        """A copy of an argument in the type that the port takes."""
        kind = np.float64 if self.port.dtype == "float64" else np.float32

        def rounded(x: np.ndarray) -> np.ndarray:
            return np.copy(x) if x.dtype.kind == "u" else self.port.arithmetic.round(x).astype(kind)

        if isinstance(value, Mapping):  # the same for the same weights, to load them once
            return self.port.converted.of(value, partial(each_array, rounded))
        return each_array(rounded, value)

    def _check_arguments(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        for name, value in before.items():
            pairs = value.items() if isinstance(value, Mapping) else [(name, value)]
            for key, old in pairs:
                new = after[name][key] if isinstance(value, Mapping) else after[name]
                if isinstance(old, np.ndarray) and not np.array_equal(old, new, equal_nan=True):
                    self.port.converted.forget()
                    raise self.failure(f"changed its argument {key} in place")

    def _checked(self, answer: Answer) -> Answer:
        if answer.keys() != self.expected.keys():
            lacking = sorted(self.expected.keys() - answer.keys())
            extra = sorted(answer.keys() - self.expected.keys())
            raise self.failure(f"lacks {lacking or 'nothing'}, has {extra or 'nothing'} besides")
        for name, right in self.expected.items():
            of = f" of {name}" if name else ""
            found = answer[name]
            if found.shape != right.shape:
                raise self.failure(f"shape {found.shape}{of}, expected {right.shape}")
            if found.dtype.kind not in "fiu":
                raise self.failure(f"type {found.dtype}{of}, expected numbers")
            if not np.isfinite(found).all():
                raise self.failure(f"{np.sum(~np.isfinite(found))} values{of} are not finite")
        return {name: x.astype(np.float64) for name, x in answer.items()}

    def _may_refuse(self) -> bool:
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


@contextmanager
def may_refuse() -> Iterator[None]:
    """In this context a port may raise an error: then raises NotJudged in place of the failure."""
    try:
        yield
    except Nonconformance as failure:
        if isinstance(failure.__cause__, Refusal):
            raise NotJudged(str(failure)) from failure
        raise


def parts(answer: Any) -> Answer:
    """A result as arrays by name."""
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping):
        return {"the loss": np.asarray(answer[0])} | parts(answer[1])
    if isinstance(answer, Mapping):
        return {name: np.asarray(x) for name, x in answer.items()}
    return {"": np.asarray(answer)}


def _largest(x: np.ndarray) -> float:
    return float(np.abs(np.asarray(x)).max(initial=0.0))


def _worst(actual: np.ndarray, expected: np.ndarray) -> list[tuple[str, float, float]]:
    """The three places with the largest errors."""
    actual = np.broadcast_to(actual, expected.shape)  # the original's loss has an axis
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
            trials = Trials(check, arguments)
            drawn = drawn_cases(port, offered, **constraints)
            times = settings.default.max_examples * examples // 100
            unhurried = settings(
                max_examples=max(times, 1),
                phases=set(Phase) - {Phase.explain},  # slow, and its result is not shown
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            )
            run = given(drawn)(trials.run)
            if settings.default.derandomize:  # the same inputs in each run, other ones in each test
                run = seed(crc32(check.__qualname__.encode()))(run)
            unhurried(run)()
            trials.check_some_were_judged()

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
    """The cases of one test: which of them failed, and how many more may be tried."""

    def __init__(self, check: Callable[..., None], arguments: dict[str, Any]) -> None:
        self.check, self.arguments = check, arguments
        self.failures: dict[str, Exception] = {}
        self.left = AFTER_FAILURE
        self.judged = 0
        self.why_not = ""

    def run(self, drawn: dict[str, Any]) -> None:
        """Run the test on one case; a case that failed before fails with the same error."""
        key = repr(drawn)
        if key not in self.failures and self.left > 0:
            self.left -= bool(self.failures)
            try:
                self.check(case=_once(key, lambda: Case(**drawn)), **self.arguments)
                self.judged += 1
            except (NotOffered, NotJudged) as reason:
                self.why_not = str(reason)
            except Exception as failure:
                self.failures[key] = failure
                if isinstance(failure.__cause__, Breakdown):
                    self.left = min(self.left, AFTER_BREAKDOWN)
        if key in self.failures:
            raise self.failures[key].with_traceback(None)

    def check_some_were_judged(self) -> None:
        """Raise NotOffered if no case could be judged."""
        if not self.judged:
            raise NotOffered(self.why_not)
