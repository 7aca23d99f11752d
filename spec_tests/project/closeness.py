"""How close is close in float64, where the two implementations leave nothing to chance."""

from __future__ import annotations

import numpy as np

BOUND = 1e-12
"""The largest difference, as a part of the largest expected number."""

GRADIENT_BOUND = 1e-10
"""The same for gradients, which pass every layer twice."""


def assert_close(actual, expected, what, bound=BOUND):
    """The same numbers in the same shape, in float64."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, expected {expected.shape}"
    assert actual.dtype == np.float64, f"{what} is {actual.dtype}"
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error <= bound, f"{what} is off by {error:.1e} of its largest value"
