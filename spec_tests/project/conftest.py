"""What the tests of the project share."""

from __future__ import annotations

import jaxtyping
import pytest
import torch

from spec_tests.porting import Port
from spec_tests.ports import numpy_float64_port, torch_float64_port

OURS = [Port(numpy_float64_port, "numpy"), Port(torch_float64_port, "torch")]


@pytest.fixture(params=OURS, ids=["numpy", "torch"])
def ours(request):
    """Each of our two implementations, by the port interface, in float64."""
    return request.param


@pytest.fixture
def unchecked():
    """Annotations are not checked, as where a user runs the code: it must itself refuse a value."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def one_thread(request, monkeypatch):
    """Tiny models in one thread, here and in new processes: several would wait for each other."""
    if request.node.get_closest_marker("full_size"):
        yield
        return
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
