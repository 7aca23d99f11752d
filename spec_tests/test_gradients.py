"""The loss and its gradient for every weight."""

from __future__ import annotations

import numpy as np
import pytest

from spec_tests.harness import reference
from spec_tests.harness.cases import ACROSS_FRAMES, DROPPING
from spec_tests.harness.golden_vectors import WITH_GRADIENTS, golden
from spec_tests.harness.judging import ROUNDINGS, Question, agree, for_cases, requirement
from timesformer_ref.numpy_blocks.classifier import cross_entropy
from timesformer_ref.weights import part

STENCIL = {-3: -1 / 60, -2: 9 / 60, -1: -45 / 60, 1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
"""A derivative from six values a step apart, right to the sixth power of the step."""


@requirement("GRAD-1")
@for_cases(
    rather=ACROSS_FRAMES,
    frames="trained",
    patches="trained",
    **DROPPING,
)
def test_loss_is_the_mean_cross_entropy(port, case):
    question = Question(port, case, "gradients")
    loss = {"the loss": question.expected["the loss"]}
    question.compare(question.answer(), loss)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement("GRAD-4" if name == "space_only" else "GRAD-2"))
        for name in WITH_GRADIENTS
    ],
)
def test_loss_and_gradients_of_the_original(port, name):
    case = golden(name)
    agree(port, case, "gradients", golden=(case.out["loss"], part(case.tensors, "grad")))


@requirement("GRAD-2")
@for_cases(rather=ACROSS_FRAMES, frames="trained", patches="trained")
def test_gradients_of_every_weight(port, case):
    agree(port, case, "gradients")


@requirement("GRAD-2")
@for_cases(rather=ACROSS_FRAMES, frames="trained", patches="trained", examples=3)
def test_gradients_against_finite_differences(port, case):
    """Along a random direction of all weights, the loss changes as the gradient predicts."""
    question = Question(port, case, "gradients")
    answer = question.answer()
    direction = {n: case.numbers(f"direction {n}", w.shape) for n, w in case.weights.items()}
    step = 1e-3 / np.sqrt(sum(w.size for w in direction.values()))

    def loss(distance):
        moved = {n: w + distance * step * direction[n] for n, w in case.weights.items()}
        return cross_entropy(reference.forward(case.video, moved, case.config), case.labels)

    expected = sum(factor * loss(distance) for distance, factor in STENCIL.items()) / step
    found = sum(np.sum(answer[n] * d) for n, d in direction.items())
    rounding = ROUNDINGS * 2.0**-53 * abs(loss(0)) / step
    allowed = rounding + sum(
        question.allowed[n] * np.sqrt(np.sum(np.square(d))) for n, d in direction.items()
    )
    if abs(found - expected) > allowed:
        scale = abs(expected)
        raise question.failure(
            f"along a random direction the loss changes by {expected:.9g}, not by {found:.9g}",
            abs(found - expected) / scale,
            allowed / scale,
        )


@requirement("GRAD-3")
@for_cases(rather=ACROSS_FRAMES, frames="longer", patches="other", examples=5)
def test_tables_that_are_stretched(port, case):
    agree(port, case, "gradients")


@requirement("GRAD-3")
@for_cases(rather=ACROSS_FRAMES, frames="shorter", patches="trained", examples=5)
def test_tables_that_are_shrunk(port, case):
    agree(port, case, "gradients")


@requirement("GRAD-4")
@for_cases(frames="trained", patches="trained")
def test_gradients_pass_every_average(port, case):
    question = Question(port, case, "gradients")
    answer = question.answer()
    question.compare(answer, {n: question.expected[n] for n in ("cls_token", "pos_embed")})
