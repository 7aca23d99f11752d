"""The whole model, from video to logits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from spec_tests.harness.cases import ACROSS_FRAMES, DROPPING
from spec_tests.harness.golden_vectors import EXACT_SIZE, MODELS, golden
from spec_tests.harness.judging import Question, agree, for_cases, requirement


@requirement("MODEL-1")
@for_cases(frames="single", patches="trained", num_hidden_layers=3)
def test_every_block_in_order(port, case):
    agree(port, case, "forward")


@requirement("MODEL-2")
@pytest.mark.parametrize("name", [n for n in MODELS if n in EXACT_SIZE])
def test_logits_of_the_original(port, name):
    case = golden(name)
    agree(port, case, "forward", golden=case.out["logits"])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement("MODEL-2" if name in EXACT_SIZE else "MODEL-3"))
        for name in MODELS
    ],
)
def test_every_block_of_the_original(port, name):
    case = golden(name)
    for layer, (tokens, expected) in enumerate(pairwise(case.states)):
        agree(port, case, "block", tokens=tokens, layer=layer, golden=expected)


@requirement("MODEL-2")
@for_cases(frames="trained", patches="trained")
def test_block_is_its_steps_and_the_mlp(port, case):
    agree(port, case, "block", layer=case.config.num_hidden_layers - 1)


@requirement("MODEL-3")
@pytest.mark.parametrize("name", [n for n in MODELS if n not in EXACT_SIZE])
def test_logits_of_the_original_for_clips_of_other_sizes(port, name):
    case = golden(name)
    agree(port, case, "forward", golden=case.out["logits"])


@requirement("MODEL-3")
@pytest.mark.parametrize("frames", ["divisor", "multiple", "longer", "shorter"])
def test_clips_of_another_number_of_frames(port, frames):
    run(port, frames=frames, patches="trained")


@requirement("MODEL-3")
@pytest.mark.parametrize("patches", ["other", "as many"])
def test_frames_of_another_size(port, patches):
    run(port, frames="trained", patches=patches)


def run(port, **constraints):
    @for_cases(rather=ACROSS_FRAMES, examples=5, ragged=None, **constraints)
    def forward(port, case):
        agree(port, case, "forward")

    forward(port=port)


@requirement("MODEL-3")
@pytest.mark.parametrize("function", ["patchify", "mlp", "classifier"])
@for_cases(examples=5)
def test_parts_of_clips_of_any_size(port, case, function):
    agree(port, case, function)


@requirement("MODEL-4")
@for_cases(
    frames="single",
    patches="trained",
    examples=4,
    num_hidden_layers=2,
    **DROPPING,
)
def test_nothing_is_dropped(port, case):
    agree(port, case, "forward")


@requirement("MODEL-5")
@for_cases(
    rather=ACROSS_FRAMES,
    frames="trained",
    patches="trained",
    examples=3,
    hidden_size=64,
    num_attention_heads=2,
    intermediate_size=128,
    num_hidden_layers=2,
)
def test_accuracy_of_the_declared_arithmetic(port, case):
    agree(port, case, "forward")


@requirement("VIEW-7")
@for_cases(frames="single", patches="trained", batch=3)
def test_logits_of_views_are_summed(port, case):
    question = Question(port, case, "forward")
    summed = {"": question.answer()[""].sum(axis=0)}
    question.allowed = {"": 3 * question.allowed[""]}
    question.compare(summed, {"": question.expected[""].sum(axis=0)}, "summed over three views")
