"""Attention within one group: the last step of whichever scheme, seen at its patches."""

from __future__ import annotations

import numpy as np
from einops import rearrange

from spec_tests.harness.cases import SEVERAL_STEPS, above_epsilon
from spec_tests.harness.judging import Question, agree, for_cases, requirement
from timesformer_ref.schemes import STEPS

PATCHES = np.s_[:, 1:]


def last_step(port, case, weights=None):
    changes = above_epsilon(case, weights=weights)
    agree(port, case, "attention_step", step=case.config.steps[-1], look=PATCHES, **changes)


def changed(case, end, change):
    """The weights, with a change to those whose name ends like this."""
    return {n: change(w) if n.endswith(end) else w for n, w in case.weights.items()}


@requirement("ATT-1")
@for_cases(frames="trained", patches="trained")
def test_queries_keys_and_values_are_packed_in_this_order(port, case):
    last_step(port, case)


@requirement("ATT-2")
@for_cases(frames="trained", patches="trained", hidden_size=16, num_attention_heads=2, examples=4)
def test_scores_are_scaled_by_the_width_of_a_head(port, case):
    last_step(port, case)


@requirement("ATT-3")
@for_cases(frames="trained", patches="trained")
def test_softmax_over_the_keys_of_the_group(port, case):
    last_step(port, case)


@requirement("ATT-4")
@for_cases(frames="trained", patches="trained")
def test_large_scores_do_not_overflow(port, case):
    last_step(port, case, weights=louder(case))


@requirement("ATT-4")
@for_cases(SEVERAL_STEPS, frames="trained", patches="trained")
def test_nor_do_those_of_earlier_steps(port, case):
    changes = above_epsilon(case, weights=louder(case))
    for step in case.config.steps[:-1]:
        agree(port, case, "attention_step", step=step, look=PATCHES, **changes)


def louder(case):
    """The weights with queries and keys so large that no score's exponential fits."""
    by = np.repeat([16.0, 16.0, 1.0], case.config.hidden_size)[:, np.newaxis]
    return changed(case, "attn.qkv.weight", lambda w: w * by)


@requirement("ATT-5")
@for_cases(frames="trained", patches="trained", qkv_bias=True)
def test_queries_keys_and_values_have_a_bias(port, case):
    last_step(port, case)


@requirement("ATT-5")
@for_cases(frames="trained", patches="trained", qkv_bias=False)
def test_or_none(port, case):
    last_step(port, case)


@requirement("ATT-6")
@for_cases(frames="trained", patches="trained", hidden_size=12, num_attention_heads=3)
def test_heads_are_merged_in_their_order(port, case):
    def only_values(w):
        return np.concatenate([0 * w[:24], w[24:]])

    weights = changed(case, ("attn.qkv.weight", "attn.qkv.bias"), only_values)
    last_step(port, case, weights=weights)


@requirement("ATT-7")
@for_cases(frames="trained", patches="trained", hidden_size=6, num_attention_heads=1)
def test_a_single_head_is_projected_too(port, case):
    last_step(port, case)


@requirement("ATT-7")
@for_cases(frames="trained", patches="trained")
def test_projection_has_a_bias(port, case):
    weights = changed(case, ("attn.qkv.weight", "attn.qkv.bias"), np.zeros_like)
    if not case.config.qkv_bias:
        weights = changed(case, "attn.qkv.weight", lambda w: w / 8)
    last_step(port, case, weights=weights)


@requirement("ATT-8")
@for_cases(frames="trained", patches="trained")
def test_groups_and_clips_do_not_mix(port, case):
    """Other patches in the first group of the first clip change no patch of another group."""
    step = case.config.steps[-1]
    rule, lengths = STEPS[step], STEPS[step].lengths(len(case.tokens), case.grid)
    first = Question(port, case, "attention_step", PATCHES, step=step)
    other = case.tokens.copy()
    places = np.arange(other[:, 1:, 0].size).reshape(*other[:, 1:, :1].shape)
    groups = rearrange(places, rule.group, **lengths)[..., 0]
    mine = np.isin(places[..., 0], groups[0])
    other[:, 1:][mine] += case.numbers("other", other[:, 1:][mine].shape)
    second = Question(port, case, "attention_step", PATCHES, step=step, tokens=other)
    first.look = second.look = (np.where(~mine)[0], 1 + np.where(~mine)[1])
    if (~mine).any():
        second.compare(second.answer(), first.answer(), "when another group changes")
