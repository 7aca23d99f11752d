"""What the tests of the project share. It imports none of the code, whose annotations the suite's
conftest has checked from its import on."""

from __future__ import annotations

import jaxtyping
import pytest


@pytest.fixture(params=["numpy", "torch"])
def ours(request):
    """Each of our two implementations, by the port interface, in float64."""
    from spec_tests.porting import find_port

    return find_port(f"spec_tests.ports.{request.param}_float64_port")


@pytest.fixture
def unchecked():
    """Annotations are not checked, as where a user runs the code: it must itself refuse a value."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
