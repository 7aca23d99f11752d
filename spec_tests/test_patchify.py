"""Patches, class token and positions: what `patchify` returns."""

from __future__ import annotations

import json

import numpy as np
import pytest
from einops import rearrange

from spec_tests.harness.cases import ANY_GRID, Case
from spec_tests.harness.golden_vectors import FOLDER, MODELS, golden
from spec_tests.harness.judging import Question, agree, for_cases, requirement
from timesformer_ref.config import TimeSformerConfig

CLASS_TOKEN, PATCHES = np.s_[:, :, :1], np.s_[:, :, 1:]
PAIRS = json.loads((FOLDER / "nearest_resize.json").read_text())["pairs"]


def without_positions(case):
    """The weights with positions and class token of zero."""
    return case.weights | {n: np.zeros_like(case.weights[n]) for n in ("pos_embed", "cls_token")}


def black(case):
    """The same clip with all pixels zero: its patches differ by their positions only."""
    return np.zeros_like(case.video)


def rule_of(name):
    """The requirement that the patches of a golden case are about."""
    rules = {"ragged": "PATCH-3", "larger": "PATCH-2", "shape": "PATCH-2", "no_qkv": "PATCH-4"}
    return next((rule for word, rule in rules.items() if word in name), "PATCH-1")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=requirement(rule_of(name))) for name in MODELS]
)
def test_patches_of_the_original(port, name):
    case = golden(name)
    patches = rearrange(case.out["patch_embed"], "(b t) n d -> b t n d", b=case.clip[0])
    expected = np.concatenate([np.zeros_like(patches[:, :, :1]), patches], axis=2)
    weights = without_positions(case)
    agree(port, case, "patchify", weights=weights, golden=expected, look=PATCHES)


@requirement("PATCH-1")
@for_cases(frames="trained", patches="trained")
def test_projection_of_patches(port, case):
    agree(port, case, "patchify", weights=without_positions(case), look=PATCHES)


@requirement("PATCH-2")
@for_cases(frames="trained", patches="other")
def test_order_of_patches_in_frames_higher_or_wider(port, case):
    agree(port, case, "patchify", weights=without_positions(case), look=PATCHES)


@requirement("PATCH-3")
@for_cases(frames="trained", patches="trained", ragged=True)
def test_pixels_beyond_the_last_patch_are_dropped(port, case):
    agree(port, case, "patchify", weights=without_positions(case), look=PATCHES)


@requirement("PATCH-4")
@for_cases(frames="trained", patches="trained", num_channels=5, examples=4)
def test_five_channels(port, case):
    agree(port, case, "patchify", weights=without_positions(case), look=PATCHES)


@requirement("PATCH-4")
@for_cases(frames="trained", patches="trained", num_channels=1, examples=4)
def test_one_channel(port, case):
    agree(port, case, "patchify", weights=without_positions(case), look=PATCHES)


@requirement("CLS-1")
@for_cases(frames="trained", patches="trained")
def test_class_token_leads_every_frame(port, case):
    weights = case.weights | {"pos_embed": np.zeros_like(case.weights["pos_embed"])}
    agree(port, case, "patchify", weights=weights, look=CLASS_TOKEN)


@requirement("CLS-2")
@for_cases(frames="trained", patches="trained")
def test_class_token_has_a_position(port, case):
    agree(port, case, "patchify", look=CLASS_TOKEN)


@requirement("POS-1")
@for_cases(frames="trained", patches="trained")
def test_positions_of_patches(port, case):
    agree(port, case, "patchify", video=black(case), look=PATCHES)


@requirement("POS-2")
@for_cases(frames="trained", patches="other", examples=12)
def test_positions_of_other_grids_are_resized(port, case):
    agree(port, case, "patchify", video=black(case), look=PATCHES)


@requirement("POS-3")
@for_cases(frames="trained", patches="as many")
def test_positions_are_used_as_they_are_where_the_count_matches(port, case):
    agree(port, case, "patchify", video=black(case), look=PATCHES)


def grid_of_pixels(port, side, height, width):
    """A clip of height x width patches of one pixel, for a model trained on side x side."""
    config = TimeSformerConfig(
        image_size=side, patch_size=1, num_channels=1, num_frames=2, hidden_size=4,
        num_attention_heads=2, num_hidden_layers=1, intermediate_size=4, num_labels=2,
        attention_type=port.offered(ANY_GRID)[0],
    )  # fmt: skip
    config = port.constraints.adapt(config)
    return Case(config, (1, 2, 1, height, width), dtype=port.dtype)


@requirement("POS-4")
@pytest.mark.parametrize(
    ("side", "height", "width"), [(26, 22, 25), (14, 13, 46), (14, 6, 46), (8, 82, 3), (12, 5, 74)]
)
def test_nearest_is_computed_in_float32(port, side, height, width):
    assert {f"{side}->{height}", f"{side}->{width}"} & PAIRS.keys()
    case = grid_of_pixels(port, side, height, width)
    agree(port, case, "patchify", video=black(case), look=PATCHES)


@requirement("POS-5")
@for_cases(frames="trained", patches="other")
def test_position_of_the_class_token_is_not_resized(port, case):
    agree(port, case, "patchify", look=CLASS_TOKEN)


@requirement("POS-6")
def test_a_grid_one_patch_wide_has_its_true_height(port):
    case = grid_of_pixels(port, 3, 5, 1)
    question = Question(port, case, "patchify", PATCHES, video=black(case))
    question.may_refuse = True
    question.compare(question.answer(), question.expected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("space_only", marks=requirement("POS-1")),
        pytest.param("space_only_other_clip", marks=requirement("POS-2")),
    ],
)
def test_frames_of_the_original(port, name):
    case = golden(name)
    expected = rearrange(case.out["embeddings"], "(b t) s d -> b t s d", b=case.clip[0])
    agree(port, case, "patchify", golden=expected)
