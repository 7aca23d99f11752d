"""Each frame's place in time, and the order of tokens: what `time_embedding` returns."""

from __future__ import annotations

import numpy as np
import pytest

from spec_tests.harness import reference
from spec_tests.harness.cases import ACROSS_FRAMES, Case
from spec_tests.harness.golden_vectors import MODELS, golden
from spec_tests.harness.judging import agree, for_cases, requirement
from timesformer_ref.config import TimeSformerConfig

CLASS_TOKEN, PATCHES = np.s_[:, :1], np.s_[:, 1:]
LONGER = ("divided_longer_clip", "divided_double_clip", "joint_longer_clip")
SHORTER = (
    "divided_shorter_clip",
    "divided_half_clip",
    "divided_one_frame",
    "joint_one_frame_of_four",
)


def rule_of(name):
    """The requirement that the frames of a golden case are about."""
    if name.startswith("space_only"):
        return "TIME-7"
    return "TIME-4" if name in LONGER else "TIME-5" if name in SHORTER else "TIME-2"


@requirement("CLS-3")
@for_cases(ACROSS_FRAMES, frames="trained")
def test_one_class_token_for_each_clip(port, case):
    agree(port, case, "time_embedding", look=CLASS_TOKEN)


@requirement("TIME-1")
@for_cases(ACROSS_FRAMES, frames="trained", patches="other")
def test_time_is_fastest(port, case):
    weights = case.weights | {"time_embed": np.zeros_like(case.weights["time_embed"])}
    agree(port, case, "time_embedding", weights=weights, look=PATCHES)


@requirement("TIME-2")
@for_cases(ACROSS_FRAMES, frames="trained")
def test_every_patch_of_a_frame_gets_its_vector(port, case):
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-3")
@for_cases(ACROSS_FRAMES, frames="trained")
def test_the_class_token_gets_no_time(port, case):
    frames = np.zeros_like(case.frames)
    agree(port, case, "time_embedding", frames=frames, look=CLASS_TOKEN)


@requirement("TIME-4")
@for_cases(ACROSS_FRAMES, frames="longer")
def test_longer_clips(port, case):
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-4")
@for_cases(ACROSS_FRAMES, frames="multiple", examples=4)
def test_clips_of_a_multiple_of_the_frames(port, case):
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-5")
@for_cases(ACROSS_FRAMES, frames="shorter")
def test_shorter_clips(port, case):
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-5")
@for_cases(ACROSS_FRAMES, frames="divisor", examples=4)
def test_clips_of_a_divisor_of_the_frames(port, case):
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-6")
@pytest.mark.parametrize(("trained", "frames"), [(26, 22), (14, 6), (14, 46), (2, 82), (104, 22)])
def test_nearest_is_computed_in_float32(port, trained, frames):
    config = TimeSformerConfig(
        image_size=2, patch_size=1, num_channels=1, num_frames=trained, hidden_size=4,
        num_attention_heads=2, num_hidden_layers=1, intermediate_size=4, num_labels=2,
        attention_type=port.offered(ACROSS_FRAMES)[0],
    )  # fmt: skip
    case = Case(port.constraints.adapt(config), (1, frames, 1, 2, 2), dtype=port.dtype)
    agree(port, case, "time_embedding", look=PATCHES)


@requirement("TIME-7")
@for_cases(("space_only",))
def test_frames_of_a_space_only_model_stay_clips_of_their_own(port, case):
    agree(port, case, "time_embedding")


def embed_golden(port, name, look):
    case = golden(name)
    frames = reference.patchify(case.video, case.weights, case.config)
    agree(port, case, "time_embedding", frames=frames, golden=case.out["embeddings"], look=look)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=requirement(rule_of(name))) for name in MODELS]
)
def test_patches_of_the_original(port, name):
    embed_golden(port, name, PATCHES)


def rule_of_class_tokens(name):
    """The same for class tokens; a clip of other frames is no matter of CLS-3."""
    return "CLS-3" if rule_of(name) in ("TIME-2", "TIME-7") else rule_of(name)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=requirement(rule_of_class_tokens(name))) for name in MODELS]
)
def test_class_tokens_of_the_original(port, name):
    embed_golden(port, name, CLASS_TOKEN)
