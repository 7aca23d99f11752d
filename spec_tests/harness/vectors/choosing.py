"""Which of the suite's inputs become vectors: as many of each test as fit into a size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from spec_tests.harness.vectors.left_out import row
from spec_tests.harness.vectors.recording import Call, Test


class Limit(NamedTuple):
    """How many bytes all files may have, and at most for one input."""

    whole: int
    input: int


FULL, SMALL = Limit(20_000_000, 1_000_000), Limit(2_900_000, 50_000)

HEADER, ENTRY = 3000, 60
"""About how many bytes a case has in its file and the index besides numbers; and each tensor."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of this ratio are spread evenly, modulo 1, however many of them there are."""

Input = list[Call]


def chosen(tests: list[Test], limit: Limit) -> tuple[list[Test], list[dict[str, Any]]]:
    """The tests with the inputs that are written, and a row for each test that has none.

    Test functions take turns; each adds one of its inputs, with all of its calls, as long as all
    files keep to the limit.
    """
    kept: set[int] = set()
    written: set[bytes] = set()
    left = limit.whole
    for calls in _in_turns(tests):
        weights = {call.weights_digest: _size(call.arguments.get("weights", {})) for call in calls}
        new = sum(size for digest, size in weights.items() if digest not in written)
        size = new + sum(map(_case_size, calls))
        if size <= min(left, limit.input):
            left -= size
            written |= weights.keys()
            kept.add(id(calls))
    tests = [replace(t, inputs=[i for i in t.inputs if id(i) in kept]) for t in tests]
    lost = [test for test in tests if not test.inputs]
    why = f"too large for a folder of {limit.whole} bytes"
    return tests, [row(test.name, test.requirements, why) for test in lost]


def _in_turns(tests: list[Test]) -> Iterator[Input]:
    """The inputs of all test functions, one of each at a time, evenly spread among its own."""
    functions: dict[str, list[Input]] = defaultdict(list)
    for test in tests:
        functions[test.name.partition("(")[0]] += test.inputs
    for inputs in functions.values():
        order = sorted(range(len(inputs)), key=lambda i: i * GOLDEN % 1)
        inputs[:] = [inputs[i] for i in order]
    for turn in zip_longest(*functions.values()):
        yield from filter(None, turn)


def _case_size(call: Call) -> int:
    """About how many bytes a call's cases have."""
    arguments = {n: x for n, x in call.arguments.items() if isinstance(x, np.ndarray)}
    asked = [{n: call.answer[n] for n in check.expected} for check in call.checks]
    numbers = sum(8 * x.size + 5 * ENTRY for part in asked for x in part.values())
    return HEADER * max(1, len(asked)) + _size(arguments) + numbers


def _size(tensors: dict[str, np.ndarray]) -> int:
    """About how many bytes a file of tensors has."""
    return sum(x.nbytes + len(name) + ENTRY for name, x in tensors.items())
