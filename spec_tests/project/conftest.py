"""What the tests of the project share."""

from __future__ import annotations

import jaxtyping
import pytest


@pytest.fixture
def unchecked():
    """Annotations are not checked, as where a user runs the code: it must itself refuse a value."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
