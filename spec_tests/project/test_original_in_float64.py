"""In float64 both implementations give the original's numbers to twelve digits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from spec_tests.harness.golden_vectors import MODELS, WITH_GRADIENTS, golden
from spec_tests.project.closeness import GRADIENT_BOUND, assert_close

every_golden_model = pytest.mark.parametrize("name", MODELS)


@every_golden_model
def test_tokens_that_enter_block_0(ours, name):
    case = golden(name)
    frames = ours.call("patchify", case.video, case.weights, case.config)
    tokens = ours.call("time_embedding", frames, case.weights, case.config)
    assert_close(tokens, case.states[0], "the embedded clip")


@every_golden_model
def test_blocks_and_their_steps(ours, name):
    case = golden(name)
    for layer, (tokens, expected) in enumerate(pairwise(case.states)):
        place = case.weights, case.config, layer
        assert_close(ours.call("block", tokens, *place, case.grid), expected, f"block {layer}")
        for step in case.config.steps:
            tokens = ours.call("attention_step", tokens, *place, case.grid, step)
        assert_close(ours.call("mlp", tokens, *place), expected, f"the steps of block {layer}")


@every_golden_model
def test_logits(ours, name):
    case = golden(name)
    logits = ours.call("forward", case.video, case.weights, case.config)
    assert_close(logits, case.out["logits"], "the logits")
    logits = ours.call("classifier", case.states[-1], case.weights, case.config, case.grid)
    assert_close(logits, case.out["logits"], "the classifier's logits")


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_loss_and_gradients(ours, name):
    case = golden(name)
    loss, grads = ours.call("gradients", case.video, case.labels, case.weights, case.config)
    assert_close([loss], case.out["loss"], "the loss")
    assert grads.keys() == case.weights.keys()
    for weight, gradient in grads.items():
        assert_close(gradient, case.tensors[f"grad.{weight}"], weight, GRADIENT_BOUND)
