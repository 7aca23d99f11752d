"""The last norm, the classifier and the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spec_tests.golden_vectors import BOUNDS, MODELS, WITH_GRADIENTS, assert_close, golden
from spec_tests.ports import torch_port
from timesformer_ref.numpy_blocks import classifier as numpy_classifier
from timesformer_ref.torch_blocks import classifier as torch_classifier


def last_tokens(case, dtype):
    return case.tensors[f"out.blocks.{case.config.num_hidden_layers - 1}"].astype(dtype)


@pytest.mark.parametrize("name", MODELS)
def test_logits_from_the_last_tokens_are_the_originals(port, prepare, dtype, name):
    case = golden(name)
    _, weights = case.inputs(dtype)
    ready = prepare(weights, case.config)
    logits = port.classifier(last_tokens(case, dtype), ready, case.config, case.grid)
    assert logits.dtype == dtype
    assert_close(logits, case.tensors["out.logits"], BOUNDS[dtype], "classifier")


@pytest.mark.parametrize("name", MODELS)
def test_the_last_norm_is_the_originals(dtype, name):
    case = golden(name)
    _, weights = case.inputs(dtype)
    tokens = last_tokens(case, dtype)
    frames = case.grid[0]
    found = numpy_classifier.final_norm(tokens, weights, case.config, frames)
    assert_close(found, case.tensors["out.norm"], BOUNDS[dtype], "NumPy norm")
    norm = torch_port.load(weights, case.config).norm
    with torch.no_grad():
        found = torch_classifier.final_norm(torch.tensor(tokens), norm, case.config, frames).numpy()
    assert_close(found, case.tensors["out.norm"], BOUNDS[dtype], "PyTorch norm")


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_the_loss_and_every_gradient_are_the_originals(port, prepare, dtype, name):
    case = golden(name)
    video, weights = case.inputs(dtype)
    ready = prepare(weights, case.config)
    loss, grads = port.gradients(video, case.tensors["in.labels"], ready, case.config)
    bound = 1e-10 if dtype == np.float64 else BOUNDS[dtype]
    assert_close(np.array([loss]), case.tensors["out.loss"], bound, "the loss")
    assert grads.keys() == weights.keys()
    for weight, gradient in grads.items():
        assert gradient.dtype == dtype
        expected = case.tensors[f"grad.{weight}"]
        assert_close(gradient, expected, bound, f"the gradient of {weight}")
