"""LayerNorm, in each place of the model."""

from __future__ import annotations

import numpy as np

from spec_tests.harness.cases import SEVERAL_STEPS, above_epsilon
from spec_tests.harness.judging import agree, for_cases, requirement

PATCHES = np.s_[:, 1:]

FAR = 64.0
"""A mean so many deviations from zero that the squares cancel in `mean(x²) - mean(x)²`."""


def with_changes(case, changes):
    """The weights, with a number in place of those whose name ends like this."""
    weights = dict(case.weights)
    for name in weights:
        for end, value in changes.items():
            if name.endswith(end):
                weights[name] = np.full_like(weights[name], value)
    return weights


@requirement("NORM-1")
@for_cases(frames="single")
def test_each_token_by_itself(port, case):
    weights = with_changes(case, {"norm.weight": 1.0, "norm.bias": 0.0})
    agree(port, case, "classifier", **above_epsilon(case, 1 + case.tokens, weights))


@requirement("NORM-1")
@for_cases(frames="single")
def test_variance_far_from_zero(port, case):
    weights = with_changes(case, {"norm.weight": 1.0, "norm.bias": 0.0})
    agree(port, case, "classifier", **above_epsilon(case, FAR + case.tokens, weights))


@requirement("NORM-2")
@for_cases(frames="single")
def test_learned_scale_and_shift(port, case):
    agree(port, case, "classifier", **above_epsilon(case))


def uniform_attention(case):
    """The weights with queries and keys of zero, so that only values and their norm count."""
    d = case.config.hidden_size
    weights = dict(case.weights)
    for name in weights:
        if "attn.qkv" in name:
            weights[name] = np.concatenate([0 * weights[name][: 2 * d], weights[name][2 * d :]])
    return weights


@requirement("NORM-3")
@for_cases(SEVERAL_STEPS, frames="trained", patches="trained")
def test_norm_before_an_earlier_step(port, case):
    changes = above_epsilon(case, weights=uniform_attention(case))
    step = case.config.steps[0]
    agree(port, case, "attention_step", step=step, look=PATCHES, **changes)


@requirement("NORM-3")
@for_cases(frames="trained", patches="trained")
def test_norm_before_the_last_step(port, case):
    changes = above_epsilon(case, weights=uniform_attention(case))
    step = case.config.steps[-1]
    agree(port, case, "attention_step", step=step, look=PATCHES, **changes)


def linear_mlp(case):
    """Weights with which the hidden numbers of the MLP are so large that GELU is the identity."""
    name = "blocks.0.mlp.fc1.bias"
    return case.weights | {name: 40 + case.weights[name]}


@requirement("NORM-3")
@for_cases(frames="trained", patches="trained")
def test_norm_before_the_mlp(port, case):
    agree(port, case, "mlp", **above_epsilon(case, weights=linear_mlp(case)))


@requirement("NORM-4")
@for_cases(SEVERAL_STEPS, frames="trained", patches="trained", tiny=True)
def test_epsilon_of_the_norms_of_earlier_steps(port, case):
    weights = uniform_attention(case)
    for step in case.config.steps[:-1]:
        agree(port, case, "attention_step", weights=weights, step=step, look=PATCHES)


@requirement("NORM-5")
@for_cases(frames="trained", patches="trained", tiny=True, examples=20)
def test_epsilon_of_norm1(port, case):
    weights, step = uniform_attention(case), case.config.steps[-1]
    agree(port, case, "attention_step", weights=weights, step=step, look=PATCHES)


@requirement("NORM-6")
@for_cases(frames="trained", patches="trained", tiny=True)
def test_epsilon_of_norm2(port, case):
    agree(port, case, "mlp", weights=linear_mlp(case))


@requirement("NORM-7")
@for_cases(frames="single", tiny=True)
def test_epsilon_of_the_last_norm(port, case):
    agree(port, case, "classifier")
