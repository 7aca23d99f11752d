"""The sizes that people run: ViT-Base on a whole clip, and steps of the two larger models.

These run last. A port that is too slow for them is asked with --full-size only.
"""

from __future__ import annotations

import pytest

from spec_tests.harness import full_size
from spec_tests.harness.judging import requirement

RULES = {
    "ViT-Base, 8 × 224": "MODEL-2",
    "HR, spatial step": "DIV-6",
    "96 frames, temporal step": "DIV-1",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=requirement(rule)) for name, rule in RULES.items()]
)
def test_numbers_of_the_original_at_full_size(port, name, unhurried):
    """On the numbers of the generator in docs/specification.md, with the seed 0."""
    asked = full_size.question(port, name)
    with port.patience(full_size.patience(full_size.predicted(port, name, unhurried))):
        answer = asked.answer()
    asked.compare(answer, asked.expected)
