"""The steps of the five schemes: which tokens attend to which, and what the class token does."""

from __future__ import annotations

import numpy as np
import pytest

from spec_tests.harness.cases import above_epsilon
from spec_tests.harness.golden_vectors import EXACT_SIZE, MODELS, golden
from spec_tests.harness.judging import Question, agree, for_cases, requirement

CLASS_TOKEN, PATCHES = np.s_[:, :1], np.s_[:, 1:]
SPACE = ("space_only",)
JOINT = ("joint_space_time",)
DIVIDED = ("divided_space_time",)
SPARSE = ("sparse_local_global",)
AXIAL = ("axial",)


def step(port, case, name, weights=None, **look):
    changes = above_epsilon(case, weights=weights)
    agree(port, case, "attention_step", step=name, **changes, **look)


def zeroed(case, *ends):
    """The weights, with zeros in place of those whose name ends like this."""
    return {n: np.zeros_like(w) if n.endswith(ends) else w for n, w in case.weights.items()}


def class_token_takes_no_part(port, case, name):
    """Check that a step leaves the class token as it is, bit by bit, and no patch attends to it."""
    first = Question(port, case, "attention_step", PATCHES, step=name)
    answer = first.answer()
    given, what = {"": case.tokens}, "changed the class token, which takes no part in this step"
    first.equal(answer, given, what, CLASS_TOKEN)
    tokens = case.tokens.copy()
    tokens[CLASS_TOKEN] += case.numbers("another class token", tokens[CLASS_TOKEN].shape)
    second = Question(port, case, "attention_step", PATCHES, step=name, tokens=tokens)
    second.compare(second.answer(), answer, "when the class token changes")


@requirement("SPACE-1")
@for_cases(SPACE)
def test_space_only_patches(port, case):
    step(port, case, "spatial", look=PATCHES)


@requirement("SPACE-2")
@for_cases(SPACE)
def test_space_only_class_tokens(port, case):
    step(port, case, "spatial", look=CLASS_TOKEN)


@requirement("JOINT-1")
@for_cases(JOINT)
def test_joint_step(port, case):
    step(port, case, "joint")


@requirement("DIV-1")
@for_cases(DIVIDED, patches="other")
def test_temporal_groups(port, case):
    step(port, case, "temporal", look=PATCHES)


@requirement("DIV-1")
@for_cases(DIVIDED, frames="divisor")
def test_temporal_groups_of_fewer_frames(port, case):
    step(port, case, "temporal", look=PATCHES)


@requirement("DIV-1")
@for_cases(DIVIDED, frames="multiple")
def test_temporal_groups_of_more_frames(port, case):
    step(port, case, "temporal", look=PATCHES)


@requirement("DIV-2")
@for_cases(DIVIDED, frames="trained", patches="trained")
def test_class_token_takes_no_part_in_the_temporal_step(port, case):
    class_token_takes_no_part(port, case, "temporal")


@requirement("DIV-3")
@for_cases(DIVIDED, frames="trained", patches="trained")
def test_temporal_fc_inside_the_residual(port, case):
    weights = zeroed(case, "temporal_attn.proj.weight")  # what attention returns is its last bias
    step(port, case, "temporal", weights=weights, look=PATCHES)


def rule_of(name):
    """The requirement that the temporal step of a golden case is about."""
    return "NORM-4" if "tiny" in name else "DIV-3" if name in EXACT_SIZE else "DIV-1"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=requirement(rule_of(name)))
        for name in MODELS
        if name.startswith("divided")
    ],
)
def test_temporal_step_of_the_original(port, name):
    case = golden(name)
    for layer, tokens in enumerate(case.states[:-1]):
        update = case.out[f"blocks.{layer}.temporal_fc"]
        expected = np.concatenate([tokens[:, :1], tokens[:, 1:] + update], axis=1)
        changes = {"tokens": tokens, "layer": layer, "golden": expected, "look": PATCHES}
        agree(port, case, "attention_step", step="temporal", **changes)


def steps_in_sequence(port, case):
    """Patches after a block whose MLP adds nothing."""
    weights = zeroed(case, "mlp.fc2.weight", "mlp.fc2.bias")
    agree(port, case, "block", look=PATCHES, **above_epsilon(case, weights=weights))


@requirement("DIV-4")
@for_cases(DIVIDED, frames="trained", patches="trained")
def test_spatial_step_reads_what_the_temporal_one_returned(port, case):
    steps_in_sequence(port, case)


@requirement("DIV-5")
@for_cases(DIVIDED, frames="trained", patches="trained", examples=4)
def test_each_step_has_its_own_weights(port, case):
    """Other weights of one step change nothing in the other."""
    for name, theirs in {"temporal": ".", "spatial": ".temporal_"}.items():
        others = tuple(f"0{theirs}{layer}" for layer in ("norm1", "attn"))
        weights = {
            n: case.numbers(f"other {n}", w.shape) if any(o in n for o in others) else w
            for n, w in case.weights.items()
        }
        first = Question(port, case, "attention_step", step=name)
        second = Question(port, case, "attention_step", step=name, weights=weights)
        what = "when the other step's weights change"
        first.compare(second.answer(), first.answer(), what)


@requirement("DIV-6")
@for_cases(DIVIDED)
def test_spatial_groups(port, case):
    step(port, case, "spatial", look=PATCHES)


@requirement("DIV-7")
@for_cases(DIVIDED)
def test_copies_of_the_class_token_are_averaged(port, case):
    step(port, case, "spatial", look=CLASS_TOKEN)


@requirement("DIV-8")
@for_cases(DIVIDED, frames="trained", patches="trained")
def test_spatial_result_is_added_to_what_the_step_got(port, case):
    weights = zeroed(case, "0.attn.proj.weight", "0.attn.proj.bias", "mlp.fc2.weight")
    agree(port, case, "block", **above_epsilon(case, weights=weights))


@requirement("LG-1")
@for_cases(SPARSE)
def test_local_groups(port, case):
    step(port, case, "local", look=PATCHES)


@requirement("LG-2")
@for_cases(SPARSE)
def test_global_groups(port, case):
    step(port, case, "global", look=PATCHES)


@requirement("LG-2")
@for_cases(SPARSE, frames="trained", examples=4)
def test_global_step_reads_what_the_local_one_returned(port, case):
    steps_in_sequence(port, case)


@requirement("LG-3")
@for_cases(SPARSE)
def test_class_token_takes_no_part_in_the_local_step(port, case):
    class_token_takes_no_part(port, case, "local")


@requirement("LG-3")
@for_cases(SPARSE)
def test_copies_of_the_class_token_in_the_global_step(port, case):
    step(port, case, "global", look=CLASS_TOKEN)


@requirement("AXIAL-1")
@for_cases(AXIAL)
def test_temporal_step_of_axial_attention(port, case):
    step(port, case, "temporal")


@requirement("AXIAL-2")
@for_cases(AXIAL, patches="other")
def test_rows(port, case):
    step(port, case, "width", look=PATCHES)


@requirement("AXIAL-3")
@for_cases(AXIAL, patches="other")
def test_columns(port, case):
    step(port, case, "height", look=PATCHES)


@requirement("AXIAL-3")
@for_cases(AXIAL, frames="trained", examples=4)
def test_steps_in_sequence(port, case):
    steps_in_sequence(port, case)


@requirement("AXIAL-4")
@pytest.mark.parametrize("name", ["temporal", "width"])
@for_cases(AXIAL)
def test_class_token_takes_no_part_in_earlier_axial_steps(port, case, name):
    class_token_takes_no_part(port, case, name)


@requirement("AXIAL-4")
@for_cases(AXIAL)
def test_copies_of_the_class_token_in_the_height_step(port, case):
    step(port, case, "height", look=CLASS_TOKEN)
