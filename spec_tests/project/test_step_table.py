"""The table of steps against its meaning: which tokens form each group, in numbers.

A clip of 2 frames of 4 x 4 patches, numbered as they lie between blocks, row by row and time
fastest: token 0 is the first patch of frame 0, token 1 the same patch of frame 1.
"""

from __future__ import annotations

import numpy as np
import pytest
from einops import rearrange

from timesformer_ref.schemes import STEPS

GRID = 2, 4, 4
GROUPS = {
    "spatial": """
     0  2  4  6  8 10 12 14 16 18 20 22 24 26 28 30
     1  3  5  7  9 11 13 15 17 19 21 23 25 27 29 31
    """,
    "joint": """
     0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    """,
    "temporal": """
     0  1
     2  3
     4  5
     6  7
     8  9
    10 11
    12 13
    14 15
    16 17
    18 19
    20 21
    22 23
    24 25
    26 27
    28 29
    30 31
    """,
    "width": """
     0  2  4  6
     8 10 12 14
    16 18 20 22
    24 26 28 30
     1  3  5  7
     9 11 13 15
    17 19 21 23
    25 27 29 31
    """,
    "height": """
     0  8 16 24
     2 10 18 26
     4 12 20 28
     6 14 22 30
     1  9 17 25
     3 11 19 27
     5 13 21 29
     7 15 23 31
    """,
    "local": """
     0  2  8 10  1  3  9 11
     4  6 12 14  5  7 13 15
    16 18 24 26 17 19 25 27
    20 22 28 30 21 23 29 31
    """,
    "global": """
     0  4 16 20
     2  6 18 22
     8 12 24 28
    10 14 26 30
     1  5 17 21
     3  7 19 23
     9 13 25 29
    11 15 27 31
    """,
}
"""A line per group."""


@pytest.mark.parametrize("step", STEPS)
def test_groups_of_a_step(step):
    tokens = np.arange(32).reshape(1, 32, 1)
    groups = rearrange(tokens, STEPS[step].group, **STEPS[step].lengths(1, GRID))[..., 0]
    assert groups.tolist() == [
        [int(n) for n in line.split()] for line in GROUPS[step].split("\n")[1:-1]
    ]
    back = rearrange(groups[..., None], STEPS[step].ungroup, **STEPS[step].lengths(1, GRID))
    np.testing.assert_array_equal(back, tokens)


def test_a_step_never_mixes_clips():
    tokens = np.arange(64).reshape(2, 32, 1)
    for step in STEPS.values():
        groups = rearrange(tokens, step.group, **step.lengths(2, GRID))[..., 0]
        assert {len(set(group // 32)) for group in groups} == {1}
