"""Shapes are checked while tests run, and every test runs on both implementations."""

from __future__ import annotations

import jaxtyping

jaxtyping.install_import_hook("timesformer_ref", "beartype.beartype")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from spec_tests.ports import numpy_port, torch_port  # noqa: E402


@pytest.fixture(params=[numpy_port, torch_port], ids=["numpy", "torch"])
def port(request):
    """One implementation, by the port interface."""
    return request.param


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    """The arithmetic of a comparison with the original."""
    return request.param


@pytest.fixture
def prepare(port):
    """Weights, in the form that the port's functions take them."""
    return getattr(port, "load", lambda weights, config: weights)
