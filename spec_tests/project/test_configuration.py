"""The configuration, the scheme table and the weight table."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from einops import rearrange

from spec_tests.project.tiny import CONFIG
from timesformer_ref.checkpoints.initialise import initial_weights, weights_from_image_vit
from timesformer_ref.config import TimeSformerConfig, check_size, is_number
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.schemes import SCHEMES, STEPS, step_prefix
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.weights import count_parameters, part, shape_text, weight_table

pytestmark = pytest.mark.usefixtures("unchecked")

WHOLE = [f.name for f in fields(TimeSformerConfig) if type(f.default) is int]
RATES = ["hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate"]


# Limits, each from both sides


def test_numbers_are_finite():
    assert is_number(1e308)
    assert not any(map(is_number, (float("inf"), float("-inf"), float("nan"), True, "1")))


def test_a_clip_has_as_many_pixels_as_admitted_and_no_more():
    check_size(2**12, 2**8)
    with pytest.raises(ValueError, match="num_frames 4097 of 256 x 256 pixels are more than 268,"):
        check_size(2**12 + 1, 2**8)


def test_numbers_of_numpy_in_a_tuple_become_plain():
    mean = Preprocessing(mean=(np.float32(0.5),) * 3).mean
    assert mean == (0.5, 0.5, 0.5)
    assert {type(number) for number in mean} == {float}


def test_a_clip_may_be_one_patch():
    side = CONFIG.patch_size
    assert CONFIG.clip_grid((1, 4, CONFIG.num_channels, side, side)) == (4, 1, 1)
    with pytest.raises(ValueError, match="patch"):
        CONFIG.clip_grid((1, 4, CONFIG.num_channels, side, side - 1))


def test_a_grid_that_a_step_cannot_divide_is_refused_with_what_would_do():
    config, side = replace(CONFIG, attention_type="sparse_local_global"), CONFIG.patch_size
    words = r"its local step needs multiples of 1 \(frames\), 2 \(rows\) and 2 \(columns\)"
    with pytest.raises(ValueError, match=words):
        config.clip_grid((1, 2, CONFIG.num_channels, 3 * side, 2 * side))


def test_labels_are_from_0_to_the_last():
    last = CONFIG.num_labels - 1
    CONFIG.check_labels(np.array([0, last]), 2)
    for labels in ([-1, 0], [0, last + 1]):
        with pytest.raises(ValueError, match=f"of the whole numbers 0 to {last}"):
            CONFIG.check_labels(np.array(labels), 2)


def test_the_shape_of_a_single_number_is_said():
    assert (shape_text(()), shape_text((2, 3))) == ("a single number", "2 x 3")


# Impossible values


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "value", [0, -1, 8.0, "8", True, None, [8], float("nan"), np.float64(8), np.int64(0), np.True_]
)
def test_a_size_that_is_no_whole_number_above_0_is_refused(name, value):
    with pytest.raises(ValueError, match=name) as caught:
        replace(CONFIG, **{name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [np.int64(8), np.int32(8), np.uint8(8)])
def test_a_whole_number_of_any_integer_type_is_a_size(value):
    config = replace(CONFIG, **dict.fromkeys(WHOLE, value))
    assert config == replace(CONFIG, **dict.fromkeys(WHOLE, 8))
    assert {type(getattr(config, name)) for name in WHOLE} == {int}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", [-0.1, 1, 1.5, float("nan"), float("inf"), "0.1", None, True])
def test_a_rate_that_is_no_probability_is_refused(name, value):
    with pytest.raises(ValueError, match=name) as caught:
        replace(CONFIG, **{name: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", [*RATES, "layer_norm_eps"])
@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25), np.float16(0.25)])
def test_a_number_of_any_floating_type_is_a_rate(name, value):
    stored = getattr(replace(CONFIG, **{name: value}), name)
    assert stored == 0.25
    assert type(stored) is float


@pytest.mark.parametrize("value", [0, -1e-6, float("nan"), float("inf"), "1e-6", None])
def test_an_impossible_epsilon_is_refused(value):
    with pytest.raises(ValueError, match="layer_norm_eps"):
        replace(CONFIG, layer_norm_eps=value)


@pytest.mark.parametrize("value", [1, "true", None])
def test_a_bias_switch_that_is_no_bool_is_refused(value):
    with pytest.raises(ValueError, match="qkv_bias"):
        replace(CONFIG, qkv_bias=value)


@pytest.mark.parametrize("value", ["divided", "", "Divided_Space_Time", "temporal"])
def test_an_unknown_scheme_is_answered_with_the_known_ones(value):
    with pytest.raises(ValueError, match="attention_type") as caught:
        replace(CONFIG, attention_type=value)
    assert all(name in str(caught.value) for name in (repr(value), *SCHEMES))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image_size": 100, "patch_size": 16}, ["image_size 100", "patch_size 16", "96 or 112"]),
        ({"image_size": 4, "patch_size": 8}, ["image_size 4", "use 8"]),
        ({"hidden_size": 100}, ["hidden_size 100", "num_attention_heads 12", "96 or 108"]),
        ({"hidden_size": 768, "num_attention_heads": 13}, ["768", "13"]),
        ({"attention_type": "sparse_local_global", "num_frames": 7}, ["7 frames", "global"]),
        ({"attention_type": "sparse_local_global", "image_size": 240}, ["15 x 15", "local"]),
    ],
)
def test_sizes_that_do_not_divide_are_refused_with_what_would(wrong, words):
    with pytest.raises(ValueError, match=words[0]) as caught:
        TimeSformerConfig(**wrong)
    assert all(word in str(caught.value) for word in words)


def test_a_config_cannot_be_changed_behind_its_checks():
    with pytest.raises(FrozenInstanceError):
        CONFIG.num_frames = 0


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 3, 32, 32), ["5 axes"]),
        ((1, 3, 4, 32, 32), ["4 channels", "3"]),
        ((1, 0, 3, 32, 32), ["no frames"]),
        ((1, 4, 3, 7, 32), ["7 x 32", "8 x 8"]),
    ],
)
def test_a_clip_that_the_model_cannot_take_is_refused(shape, words):
    with pytest.raises(ValueError, match=words[0]) as caught:
        CONFIG.clip_grid(shape)
    assert all(word in str(caught.value) for word in words)


def test_the_grid_is_the_clip_s_own():
    assert CONFIG.grid == (4, 4, 4)
    assert CONFIG.clip_grid((2, 7, 3, 39, 16)) == (7, 4, 2)


# The scheme table


def test_there_are_the_five_schemes_and_their_steps():
    assert SCHEMES == {
        "space_only": ("spatial",),
        "joint_space_time": ("joint",),
        "divided_space_time": ("temporal", "spatial"),
        "sparse_local_global": ("local", "global"),
        "axial": ("temporal", "width", "height"),
    }
    assert set(STEPS) == {step for steps in SCHEMES.values() for step in steps}


GROUPS = {
    "spatial": lambda t, h, w: t,
    "joint": lambda t, h, w: 0 * t,
    "temporal": lambda t, h, w: 10 * h + w,
    "width": lambda t, h, w: 10 * t + h,
    "height": lambda t, h, w: 10 * t + w,
    "local": lambda t, h, w: 10 * (h // 3) + w // 2,
    "global": lambda t, h, w: 100 * (t % 2) + 10 * (h % 2) + w % 2,
}
"""Which group a patch is in, of a clip of 4 frames of 6 x 4 patches."""


@pytest.mark.parametrize("step", STEPS)
def test_every_step_groups_the_patches_that_the_paper_says(step):
    t, h, w = np.meshgrid(range(4), range(6), range(4), indexing="ij")
    cube = np.stack([t, h, w], axis=-1)[None]
    sequence = rearrange(cube, "b t h w d -> b (h w t) d")  # time fastest
    lengths = STEPS[step].lengths(1, (4, 6, 4))
    groups = rearrange(sequence, STEPS[step].group, **lengths)
    names = GROUPS[step](*np.moveaxis(groups, -1, 0))
    assert (names == names[:, :1]).all()  # one group, one name
    assert len(set(names[:, 0])) == len(groups)  # and one name, one group
    np.testing.assert_array_equal(rearrange(groups, STEPS[step].ungroup, **lengths), sequence)


def test_the_last_step_owns_the_plain_names():
    assert step_prefix("divided_space_time", "spatial") == ""
    assert step_prefix("divided_space_time", "temporal") == "temporal_"
    assert step_prefix("axial", "width") == "width_"
    assert step_prefix("axial", "height") == ""


# The weight table


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_the_table_is_what_the_model_has(scheme, qkv_bias):
    config = replace(CONFIG, attention_type=scheme, qkv_bias=qkv_bias)
    shapes = {name: weight.shape for name, weight in weight_table(config).items()}
    state = TimeSformer(config).state_dict()
    assert {name: tuple(w.shape) for name, w in state.items()} == shapes
    weights = initial_weights(config, 0)
    assert {name: w.shape for name, w in weights.items()} == shapes
    assert sum(w.size for w in weights.values()) == count_parameters(config)
    assert any(name.endswith("qkv.bias") for name in shapes) == qkv_bias
    assert ("time_embed" in shapes) == (scheme != "space_only")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_weight_has_a_meaning_and_a_name_of_its_own(scheme):
    table = weight_table(replace(CONFIG, attention_type=scheme))
    assert all(weight.meaning for weight in table.values())
    assert len({weight.hugging_face for weight in table.values()}) == len(table)


def test_only_an_image_vit_starts_a_video_model():
    with pytest.raises(ValueError, match=r"blocks\.0\.attn\.qkv\.weight"):
        weights_from_image_vit({"conv1.weight": np.ones((64, 3, 7, 7))}, CONFIG)


def test_an_image_vits_flattened_kernel_unfolds():
    name, p = "patch_embed.proj.weight", CONFIG.patch_size
    kernel = np.random.default_rng(0).normal(size=(CONFIG.hidden_size, 3, p, p))
    qkv = {"blocks.0.attn.qkv.weight": np.zeros((3 * CONFIG.hidden_size, CONFIG.hidden_size))}
    vit = qkv | {name: kernel.reshape(CONFIG.hidden_size, -1)}
    np.testing.assert_array_equal(weights_from_image_vit(vit, CONFIG)[name], kernel)


def test_a_caller_cannot_change_the_table():
    table = weight_table(CONFIG)
    with pytest.raises(AttributeError):
        table.pop("head.bias")
    with pytest.raises(TypeError):
        del table["head.bias"]
    assert "head.bias" in weight_table(CONFIG)


def test_part_takes_whole_names_only():
    weights = dict.fromkeys(["blocks.1.a", "blocks.1.b.c", "blocks.10.a", "blocks.1"])
    assert list(part(weights, "blocks.1")) == ["a", "b.c"]
