"""Every axis of every function at the sizes of real models, and where two branches meet.

harness/sizes.py holds the table of what is tried.
"""

from __future__ import annotations

import pytest

from spec_tests.harness.cases import above_epsilon
from spec_tests.harness.errors import NotOffered
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import LEFT_OUT, NotJudged, agree, requirement
from spec_tests.harness.sizes import AXES, cases

ROWS = {axis.name: axis for axis in AXES}


@pytest.mark.parametrize(
    ("axis", "asked"),
    [
        pytest.param(axis.name, asked, marks=requirement(rule))
        for axis in AXES
        for asked, rule in axis.asked.items()
    ],
)
def test_sizes_of_an_axis(port, axis, asked):
    judged, left_out = 0, []
    for function, case, more in cases(port, ROWS[axis], asked):
        tokens = above_epsilon(case) if "tokens" in FUNCTIONS[function] else {}
        try:
            agree(port, case, function, **tokens, **more)
            judged += 1
        except (NotOffered, NotJudged) as reason:
            left_out = [str(reason)]
    if not judged:
        raise NotOffered(*left_out)
    LEFT_OUT.extend(left_out)
