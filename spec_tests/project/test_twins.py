"""NumPy and PyTorch are the same model, of any scheme and geometry."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from spec_tests.harness.cases import Case, drawn_cases
from spec_tests.harness.porting import Port
from spec_tests.ports.variants import numpy_float64, torch_float64
from spec_tests.project.closeness import GRADIENT_BOUND, assert_close

NUMPY, TORCH = Port(numpy_float64, "NumPy"), Port(torch_float64, "PyTorch")
any_geometry = drawn_cases(NUMPY, NUMPY.schemes, ragged=None)


@settings(max_examples=40, deadline=None)
@given(any_geometry)
def test_logits_agree(drawn):
    case = Case(**drawn)
    asked = case.video, case.weights, case.config
    assert_close(TORCH.call("forward", *asked), NUMPY.call("forward", *asked), "PyTorch's logits")


@settings(max_examples=15, deadline=None)
@given(any_geometry)
def test_gradients_of_every_weight_agree(drawn):
    case = Case(**drawn)
    asked = case.video, case.labels, case.weights, case.config
    loss, expected = NUMPY.call("gradients", *asked)
    torch_loss, found = TORCH.call("gradients", *asked)
    assert_close([torch_loss], [loss], "PyTorch's loss")
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name in case.weights:
        assert np.abs(found[name] - expected[name]).max() <= GRADIENT_BOUND * largest, name
