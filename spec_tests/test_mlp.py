"""The MLP of a block."""

from __future__ import annotations

import numpy as np

from spec_tests.harness.cases import above_epsilon
from spec_tests.harness.judging import Question, agree, for_cases, requirement


@requirement("MLP-1")
@for_cases(frames="trained", patches="trained")
def test_two_linear_layers_on_the_normed_tokens(port, case):
    agree(port, case, "mlp", **above_epsilon(case))


@requirement("MLP-2")
@for_cases(examples=12, frames="trained", patches="trained", intermediate_size=12)
def test_gelu_is_exact(port, case):
    """Where the first layer gives numbers of -5 to 5, and all else is small beside its result."""
    weights = case.weights | {
        "blocks.0.mlp.fc1.weight": 2 * case.weights["blocks.0.mlp.fc1.weight"],
        "blocks.0.mlp.fc2.weight": 1024 * case.weights["blocks.0.mlp.fc2.weight"],
        "blocks.0.mlp.fc2.bias": 0 * case.weights["blocks.0.mlp.fc2.bias"],
    }
    agree(port, case, "mlp", **above_epsilon(case, weights=weights))


@requirement("MLP-3")
@for_cases(examples=4, frames="trained", patches="trained")
def test_result_is_added_to_the_tokens(port, case):
    zero = {
        f"blocks.0.mlp.fc2.{n}": 0 * case.weights[f"blocks.0.mlp.fc2.{n}"]
        for n in ("weight", "bias")
    }
    agree(port, case, "mlp", weights=case.weights | zero)


@requirement("MLP-3")
@for_cases(examples=4, frames="trained", patches="trained")
def test_class_token_passes_too(port, case):
    agree(port, case, "mlp", look=np.s_[:, :1], **above_epsilon(case))


@requirement("MLP-3")
@for_cases(examples=4, frames="trained", patches="trained")
def test_each_token_on_its_own(port, case):
    """The class token alone changes; the patches stay."""
    tokens = case.tokens.copy()
    tokens[:, 0] += 1
    first = Question(port, case, "mlp", np.s_[:, 1:])
    second = Question(port, case, "mlp", np.s_[:, 1:], tokens=tokens)
    first.compare(second.answer(), first.answer(), "when the class token changes")
