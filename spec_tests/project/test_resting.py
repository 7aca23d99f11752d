"""A mistake fails the requirements that are about it, and others are not judged."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from spec_tests import (
    test_classifier,
    test_layer_norm,
    test_mlp,
    test_patchify,
    test_schemes,
    test_self_attention,
)
from spec_tests.harness.judging import Nonconformance
from spec_tests.harness.report import finding
from spec_tests.harness.report.resting import withhold
from spec_tests.harness.requirements import requirements
from spec_tests.ports import numpy_port
from spec_tests.project.test_telling import port_with

TRAINED = {"config": {"image_size": 4, "num_frames": 2}, "clip": [2, 2, 3, 4, 4]}
LONGER = TRAINED | {"clip": [2, 3, 3, 4, 4]}
SPACE_ONLY = {**TRAINED, "config": TRAINED["config"] | {"attention_type": "space_only"}}


def failed(times, given=TRAINED, kind="numbers", function="forward"):
    """A test that failed by so many times its bound."""
    numbers = {"error": times * 1e-6, "bound": 1e-6} if kind == "numbers" else {}
    given = given | {"function": function}
    return {
        "outcome": "failed",
        "kind": kind,
        "input": given,
        "test": "t",
        "message": "m",
    } | numbers


PASSED = {"outcome": "passed", "test": "t"}


def statuses(**tests):
    """What becomes of requirements, in the order of the specification, and why."""
    named = {name.replace("_", "-"): test for name, test in tests.items()}
    rows = [finding(name, [named[name]]) for name in requirements() if name in named]
    withhold(rows)
    return {row["id"]: row.get("reason", row["status"]) for row in rows}


ALL_LAST_STEPS = dict.fromkeys(("SPACE_1", "JOINT_1", "DIV_6"), failed(1e5))


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        # an epsilon is far off on tiny tokens and leaves traces elsewhere
        (
            {"NORM_5": failed(1e5), "ATT_1": failed(5.9), "MODEL_1": failed(8),
             "GRAD_1": failed(9)},
            {"NORM-5": "failed", "ATT-1": "NORM-5 fails", "MODEL-1": "NORM-5 fails",
             "GRAD-1": "NORM-5 fails"},
        ),
        # what is wrong in attention is so on tiny tokens too
        (
            {"NORM_5": failed(1e5), "ATT_1": failed(1e5), **ALL_LAST_STEPS, "CKPT_1": failed(1e5)},
            {"NORM-5": "ATT-1 fails", "ATT-1": "failed", "SPACE-1": "ATT-1 fails",
             "JOINT-1": "ATT-1 fails", "DIV-6": "ATT-1 fails", "CKPT-1": "ATT-1 fails"},
        ),
        # attention is tested in groups
        (
            {"ATT_1": failed(1e5), "SPACE_1": PASSED, "DIV_6": failed(1e5)},
            {"ATT-1": "DIV-6 fails", "SPACE-1": "passed", "DIV-6": "failed"},
        ),
        # a trace does not explain what is quite wrong
        (
            {"MLP_1": failed(50), "MODEL_1": failed(1e6), "PROP_8": failed(60)},
            {"MLP-1": "failed", "MODEL-1": "failed", "PROP-8": "MLP-1 fails"},
        ),
        # too few digits are a matter of the whole model
        (
            {"ATT_1": failed(100), "MODEL_2": failed(100), "MODEL_5": failed(100)},
            {"ATT-1": "failed", "MODEL-2": "ATT-1 fails", "MODEL-5": "failed"},
        ),
        (
            {"ATT_1": failed(1e5), "MODEL_5": failed(1e5)},
            {"ATT-1": "failed", "MODEL-5": "ATT-1 fails"},
        ),
        # one scheme does not explain another
        (
            {"HEAD_3": failed(0, SPACE_ONLY, "shape"), "MODEL_2": failed(1e4),
             "GRAD_4": failed(0, SPACE_ONLY, "error"), "PROP_4": failed(0, SPACE_ONLY, "shape")},
            {"HEAD-3": "failed", "MODEL-2": "failed", "GRAD-4": "HEAD-3 fails",
             "PROP-4": "HEAD-3 fails"},
        ),
        # properties compare two answers of the port, whatever is wrong with both
        (
            {"MLP_1": failed(1e5), "PROP_1": failed(1e5), "PROP_2": failed(0, kind="in place")},
            {"MLP-1": "failed", "PROP-1": "failed", "PROP-2": "failed"},
        ),
        # a port that refuses long clips
        (
            {"DIV_6": failed(0, LONGER, "error"), "MODEL_3": failed(0, LONGER, "error"),
             "TIME_4": failed(0, LONGER, "error"), "MLP_1": failed(1e5, LONGER)},
            {"TIME-4": "failed", "DIV-6": "TIME-4 fails", "MLP-1": "failed",
             "MODEL-3": "TIME-4 fails"},
        ),
        # weights that were read wrongly, or drawn wrongly, are no matter of the model
        (
            {"ATT_1": failed(1e5), "WEIGHT_1": failed(0, kind="shape", function="initial_weights"),
             "CKPT_2": failed(1e5) | {"input": {"weight": "norm.bias"}}},
            {"ATT-1": "failed", "WEIGHT-1": "failed", "CKPT-2": "failed"},
        ),
    ],
)  # fmt: skip
def test_what_rests_on_what_fails_is_not_judged(tests, found):
    assert statuses(**tests) == found


def other_epsilon(function, place):
    """The NumPy port's function with the default epsilon of frameworks."""

    def wrong(*args):
        given = list(args)
        given[place] = replace(given[place], layer_norm_eps=1e-3)
        return getattr(numpy_port, function)(*given)

    return wrong


WITH_A_NORM = ("attention_step", "mlp", "block", "classifier")
WRONG_EPSILON = {"DTYPE": "float64"} | {f: other_epsilon(f, 2) for f in WITH_A_NORM}


@pytest.mark.parametrize(
    "test",
    [
        test_mlp.test_two_linear_layers_on_the_normed_tokens,
        test_mlp.test_gelu_is_exact,
        test_classifier.test_last_norm_then_one_linear_layer,
        test_layer_norm.test_learned_scale_and_shift,
        test_layer_norm.test_variance_far_from_zero,
        test_layer_norm.test_norm_before_the_mlp,
        test_layer_norm.test_norm_before_the_last_step,
        test_self_attention.test_queries_keys_and_values_are_packed_in_this_order,
        test_self_attention.test_large_scores_do_not_overflow,
        test_schemes.test_joint_step,
        test_schemes.test_spatial_step_reads_what_the_temporal_one_returned,
    ],
)
def test_an_epsilon_shows_in_no_test_but_its_own(test):
    """Not even in float64, where traces are millions of times the bound."""
    test(port=port_with(**WRONG_EPSILON))


def test_an_epsilon_shows_in_its_own():
    with pytest.raises(Nonconformance):
        test_layer_norm.test_epsilon_of_norm1(port=port_with(**WRONG_EPSILON))


def lost_class_token(tokens, weights, config, layer, grid, step):
    answer = numpy_port.attention_step(tokens, weights, config, layer, grid, step)
    answer[:, 0] += 1
    return answer


@pytest.mark.parametrize(
    "test",
    [
        test_layer_norm.test_norm_before_an_earlier_step,
        test_layer_norm.test_norm_before_the_last_step,
        test_layer_norm.test_epsilon_of_the_norms_of_earlier_steps,
        test_layer_norm.test_epsilon_of_norm1,
        test_self_attention.test_nor_do_those_of_earlier_steps,
    ],
)
def test_a_wrong_class_token_is_no_matter_of_norms_and_scores(test):
    test(port=port_with(attention_step=lost_class_token))


def refusing(function, video, weights, config):
    if video.shape[1] > config.num_frames:
        raise ValueError("too long")
    return getattr(numpy_port, function)(video, weights, config)


PIXELS = [
    test for name, test in vars(test_patchify).items()
    if name.startswith("test_") and hasattr(test, "check")
]  # fmt: skip


@pytest.mark.parametrize("test", PIXELS)
def test_a_port_that_refuses_long_clips_fails_no_requirement_about_pixels(test):
    test(port=port_with(patchify=partial(refusing, "patchify")))
