"""Which of the suite's inputs become vectors: as many of each test as fit into a size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from spec_tests.harness.vectors.left_out import row
from spec_tests.harness.vectors.recording import Call, Test


class Limit(NamedTuple):
    """How many bytes all files may have, and at most for one input."""

    whole: int
    input: int


FULL, SMALL = Limit(20_000_000, 500_000), Limit(2_900_000, 30_000)

HEADER, ENTRY = 3000, 60
"""About how many bytes a case has in its file and the index besides numbers; and each tensor."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of this ratio are spread evenly, modulo 1, however many of them there are."""

ROWS = "spec_tests.test_sizes."
"""The tests that are rows of a table."""

Input = list[Call]


def chosen(tests: list[Test], limit: Limit) -> tuple[list[Test], list[dict[str, Any]]]:
    """The tests with the inputs that are written, and a row for each test that has none.

    Test functions, and the rows of the table of sizes, get alike many bytes: the one with the
    fewest adds its next input, with all of its calls, as long as all files keep to the limit.
    """
    kept: set[int] = set()
    written: set[bytes] = set()
    left, queue = limit.whole, [(0, n, inputs) for n, inputs in enumerate(_by_function(tests))]
    while queue:
        spent, n, inputs = heappop(queue)
        calls = inputs.pop()
        size = _input_size(calls, written)
        if size <= min(left, limit.input):
            left -= size
            spent += size
            written |= {call.weights_digest for call in calls}
            kept.add(id(calls))
        if inputs:
            heappush(queue, (spent, n, inputs))
    tests = [replace(t, inputs=[i for i in t.inputs if id(i) in kept]) for t in tests]
    lost = [test for test in tests if not test.inputs]
    why = f"too large for a folder of {limit.whole} bytes"
    return tests, [row(test.name, test.requirements, why) for test in lost]


def _by_function(tests: list[Test]) -> list[list[Input]]:
    """The inputs of each function and row, those that come first last.

    They are evenly spread, from the last one on, which is the largest of a row.
    """
    functions: dict[str, list[Input]] = defaultdict(list)
    for test in tests:
        a_row = test.name.startswith(ROWS)
        functions[test.name if a_row else test.name.partition("(")[0]] += test.inputs
    found = [inputs for inputs in functions.values() if inputs]
    for inputs in found:
        order = sorted(range(len(inputs)), key=lambda i: i * GOLDEN % 1, reverse=True)
        inputs[:] = [inputs[-1 - i] for i in order]
    return found


def _input_size(calls: Input, written: Collection[bytes]) -> int:
    """About how many bytes the files of an input have, besides weights that are written."""
    weights = {call.weights_digest: _size(call.arguments.get("weights", {})) for call in calls}
    new = sum(size for digest, size in weights.items() if digest not in written)
    return new + sum(map(_case_size, calls))


def _case_size(call: Call) -> int:
    """About how many bytes a call's cases have."""
    arguments = {n: x for n, x in call.arguments.items() if isinstance(x, np.ndarray)}
    asked = [{n: call.answer[n] for n in check.expected} for check in call.checks]
    numbers = sum(8 * x.size + 5 * ENTRY for part in asked for x in part.values())
    return HEADER * max(1, len(asked)) + _size(arguments) + numbers


def _size(tensors: dict[str, np.ndarray]) -> int:
    """About how many bytes a file of tensors has."""
    return sum(x.nbytes + len(name) + ENTRY for name, x in tensors.items())
