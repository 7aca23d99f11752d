"""Ports that cannot vary something: their cases keep to it, and the report says so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spec_tests import (
    test_initialisation,
    test_mlp,
    test_model,
    test_patchify,
    test_self_attention,
    test_sizes,
)
from spec_tests.harness.errors import BadPort, NotOffered
from spec_tests.harness.porting import Port
from spec_tests.harness.report import Report
from spec_tests.harness.report.words import attributes
from spec_tests.ports import numpy_port
from spec_tests.project.test_telling import port_with

HARD_WIRED = {
    "intermediate_size": "4 * hidden_size",
    "qkv_bias": True,
    "layer_norm_eps": 1e-6,
    "patch_size": 2,
    "num_channels": 3,
    "square_frames": True,
}


def asserting(function):
    """The NumPy port's function, which takes no other geometry."""

    def only(*args):
        config = next(a for a in args if hasattr(a, "attention_type"))
        assert config.intermediate_size == 4 * config.hidden_size
        assert (config.qkv_bias, config.layer_norm_eps) == (True, 1e-6)
        assert (config.patch_size, config.num_channels) == (2, 3)
        if getattr(args[0], "ndim", 0) == 5:
            assert args[0].shape[-2] == args[0].shape[-1]
        return getattr(numpy_port, function)(*args)

    return only


@pytest.fixture
def rigid():
    functions = ("forward", "patchify", "mlp", "attention_step", "block", "initial_weights")
    return port_with(CONSTRAINTS=HARD_WIRED, **{f: asserting(f) for f in functions})


@pytest.mark.parametrize(
    ("test", "given"),
    [
        (test_mlp.test_two_linear_layers_on_the_normed_tokens, {}),
        (test_mlp.test_gelu_is_exact, {}),
        (test_model.test_every_block_in_order, {}),
        (test_model.test_accuracy_of_the_declared_arithmetic, {}),
        (test_model.test_clips_of_another_number_of_frames, {"frames": "longer"}),
        (test_model.test_frames_of_another_size, {"patches": "other"}),
        (test_patchify.test_pixels_beyond_the_last_patch_are_dropped, {}),
        (test_sizes.test_sizes_of_an_axis, {"axis": "MLP width", "asked": "mlp"}),
        (test_self_attention.test_queries_keys_and_values_have_a_bias, {}),
        (test_initialisation.test_biases_norms_and_time_table, {"attention_type": "space_only"}),
    ],
)
def test_cases_keep_to_what_a_port_cannot_vary(rigid, test, given):
    test(port=rigid, **given)


@pytest.mark.parametrize(
    ("test", "given"),
    [
        (test_self_attention.test_or_none, {}),
        (test_patchify.test_five_channels, {}),
        (test_patchify.test_positions_are_used_as_they_are_where_the_count_matches, {}),
        (test_model.test_logits_of_the_original, {"name": "divided"}),
        (test_sizes.test_sizes_of_an_axis, {"axis": "rows", "asked": "divided_space_time spatial"}),
        (test_initialisation.test_names_and_shapes_of_fresh_weights,
         {"attention_type": "space_only", "qkv_bias": False}),
    ],
)  # fmt: skip
def test_what_needs_another_geometry_is_not_offered(rigid, test, given):
    with pytest.raises(NotOffered, match=r"the port takes intermediate_size = 4 \* hidden_size, "):
        test(port=rigid, **given)


@pytest.mark.parametrize("patches", ["other", "trained"])
def test_a_size_of_its_own(patches):
    port = port_with(CONSTRAINTS={"image_size": 32, "patch_size": 8, "hidden_size": 8})
    test_model.test_frames_of_another_size(port=port, patches=patches)


def test_the_report_says_for_which_geometry_it_speaks(rigid):
    (limits,) = rigid.limits
    assert limits.endswith("patch_size = 2, num_channels = 3, square frames")
    assert f"with {limits} only" in attributes(Report([rigid], []).findings("port"))
    fixed = Port(SimpleNamespace(forward=len, FIXED_FRAMES=True), "port")
    assert fixed.limits == ["the trained number of frames"]


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (["qkv_bias"], "CONSTRAINTS is ['qkv_bias'], expected a dict by field of the config"),
        ({"mlp_ratio": 4}, "CONSTRAINTS has mlp_ratio 4, expected fields out of square_frames, "),
        ({"qkv_bias": "yes"}, "CONSTRAINTS has qkv_bias 'yes', expected True or False"),
        ({"hidden_size": "2 * heads"}, "CONSTRAINTS has hidden_size '2 * heads', expected fields"),
    ],
)
def test_what_is_no_constraint(constraints, words):
    with pytest.raises(BadPort) as error:
        Port(SimpleNamespace(forward=len, CONSTRAINTS=constraints), "port")
    assert str(error.value).startswith(words)
