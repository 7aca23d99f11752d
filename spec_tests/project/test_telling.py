"""Of what a wrong port does, a failure shows what tells most, on an input that is large enough."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from spec_tests import test_classifier, test_self_attention, test_time_embedding
from spec_tests.harness.errors import NotOffered
from spec_tests.harness.judging import LEFT_OUT, Nonconformance
from spec_tests.harness.porting import Port
from spec_tests.ports import numpy_port


def port_with(**functions):
    """The NumPy port with other functions."""
    own = {f: getattr(numpy_port, f) for f in numpy_port.__all__}
    return Port(SimpleNamespace(**own | functions), "port")


def failure_of(test, port):
    with pytest.raises(Nonconformance) as failure:
        test(port=port)
    return failure.value


def without_bias_and_with_another_epsilon(tokens, weights, config, layer, grid, step):
    weights = {n: 0 * w if n.endswith("qkv.bias") else w for n, w in weights.items()}
    other = replace(config, layer_norm_eps=10 * config.layer_norm_eps)
    return numpy_port.attention_step(tokens, weights, other, layer, grid, step)


def test_shrinking_keeps_to_the_mistake_that_is_seen_best():
    """Where only queries have a bias, a wrong epsilon is the smaller failure, and no one's clue."""
    port = port_with(attention_step=without_bias_and_with_another_epsilon)
    failure = failure_of(test_self_attention.test_large_scores_do_not_overflow, port)
    assert failure.error / failure.bound > 1e4
    assert failure.given["config"].get("qkv_bias", True)


def test_a_table_that_broadcasts_over_the_frames_is_no_matter_of_class_tokens():
    def time_embedding(frames, weights, config):
        frames = frames + 0 * weights["time_embed"][:, :, None]
        return numpy_port.time_embedding(frames, weights, config)

    failure = failure_of(
        test_time_embedding.test_shorter_clips, port_with(time_embedding=time_embedding)
    )
    assert failure.given["clip"][1] > 1
    assert "operands could not be broadcast together" in failure.message


def test_a_transposed_answer_has_a_wrong_shape():
    def classifier(tokens, weights, config, grid):
        return numpy_port.classifier(tokens, weights, config, grid).T

    test = test_classifier.test_last_norm_then_one_linear_layer
    failure = failure_of(test, port_with(classifier=classifier))
    assert failure.message == "classifier: shape (4, 2), expected (2, 4): b labels"


@pytest.mark.parametrize("hidden", ["some", "all"])
def test_what_a_port_did_not_try_is_not_passed_in_silence(hidden):
    def classifier(tokens, weights, config, grid):
        if hidden == "all" or config.num_attention_heads == 3:
            raise NotImplementedError("three heads")
        return numpy_port.classifier(tokens, weights, config, grid)

    LEFT_OUT.clear()
    test, port = (
        test_classifier.test_last_norm_then_one_linear_layer,
        port_with(classifier=classifier),
    )
    if hidden == "all":
        with pytest.raises(NotOffered, match="three heads"):
            test(port=port)
    else:
        test(port=port)
        assert "three heads" in LEFT_OUT.pop()
    assert not LEFT_OUT
