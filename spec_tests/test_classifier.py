"""From the tokens that leave the last block to logits."""

from __future__ import annotations

import numpy as np
import pytest

from spec_tests.harness.cases import ACROSS_FRAMES, above_epsilon
from spec_tests.harness.golden_vectors import MODELS, golden
from spec_tests.harness.judging import Question, agree, for_cases, requirement


@requirement("HEAD-1")
@for_cases(ACROSS_FRAMES, frames="trained", patches="trained")
def test_last_norm_then_one_linear_layer(port, case):
    agree(port, case, "classifier", **above_epsilon(case, 2 + 4 * case.tokens))


@requirement("HEAD-2")
@for_cases(ACROSS_FRAMES, examples=4, frames="trained", patches="trained")
def test_logits_are_made_of_the_class_token_alone(port, case):
    tokens = case.tokens.copy()
    tokens[:, 1:] += case.numbers("other patches", tokens[:, 1:].shape)
    first = Question(port, case, "classifier")
    second = Question(port, case, "classifier", tokens=tokens)
    first.compare(second.answer(), first.answer(), "when the patches change")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=requirement("NORM-7" if "tiny" in n else "HEAD-2"))
        for n in MODELS
        if not n.startswith("space_only")
    ],
)
def test_logits_of_the_original(port, name):
    case = golden(name)
    agree(port, case, "classifier", tokens=case.states[-1], golden=case.out["logits"])


@requirement("HEAD-3")
@for_cases(("space_only",), frames="trained", patches="trained")
def test_frames_are_averaged_before_the_last_norm(port, case):
    frames = np.arange(len(case.tokens))[:, None, None]
    agree(port, case, "classifier", **above_epsilon(case, case.tokens * 2.0 ** (frames % 5)))


@requirement("HEAD-3")
@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("space_only")])
def test_space_only_logits_of_the_original(port, name):
    case = golden(name)
    agree(port, case, "classifier", tokens=case.states[-1], golden=case.out["logits"])
