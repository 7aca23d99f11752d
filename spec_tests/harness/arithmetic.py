"""The four arithmetics of ports, and the rounding error that each makes on a given input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

EXPONENT = np.int64(0x7FF0000000000000)
"""The bits of a double's exponent."""


class Arithmetic(NamedTuple):
    """A binary floating point: digits of the significand, smallest exponent, largest number."""

    digits: int
    smallest: int
    largest: float

    @property
    def unit(self) -> float:
        """The largest relative error of rounding to the nearest number."""
        return 2.0**-self.digits

    def spacing(self, x: np.ndarray) -> np.ndarray:
        """The distance from each number to its neighbours."""
        power = (x.view(np.int64) & EXPONENT).view(np.float64)  # of two, not above |x|
        return np.maximum(power, 2.0**self.smallest) * 2.0 ** (1 - self.digits)

    def round(self, x: np.ndarray) -> np.ndarray:
        """The nearest numbers of this arithmetic, ties to even, as float64."""
        x = np.asarray(x, np.float64)
        step = self.spacing(x)
        return np.rint(x / step) * step


ARITHMETICS = {
    "float64": Arithmetic(53, -1022, float(np.finfo(np.float64).max)),
    "float32": Arithmetic(24, -126, float(np.finfo(np.float32).max)),
    "bfloat16": Arithmetic(8, -126, (2 - 2.0**-7) * 2.0**127),
    "float16": Arithmetic(11, -14, 65504.0),
}


SINGLE = ARITHMETICS["float32"]
EXACT = {np.floor, np.rint, np.maximum, np.minimum, np.negative, np.absolute}
"""Functions whose results need no rounding."""


PRODUCTS = {np.matmul, np.tensordot}
"""Functions that round every product of a sum, the small types to float32."""


class Noisy(np.ndarray):
    """Numbers that every operation moves by up to one spacing of an arithmetic, at random.

    So a NumPy function, given noisy arrays, makes the errors that it would make in that arithmetic,
    other ones each time. What overflows the arithmetic becomes infinite.
    """

    arithmetic: Arithmetic
    rng: np.random.Generator

    def __array_finalize__(self, parent: Any) -> None:
        self.arithmetic = getattr(parent, "arithmetic", None)
        self.rng = getattr(parent, "rng", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        (target,) = options.pop("out", (None,))
        plain = [np.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
        if ufunc in PRODUCTS:
            plain = self._moved_factors(plain)
        result = getattr(ufunc, method)(*plain, **options)
        if result is None:  # np.add.at has changed its first argument
            return None
        result = self._like(result) if ufunc in EXACT else self._rounded(result)
        if target is None:
            return result
        target[...] = result
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        options = each_array(np.asarray, options)
        args = each_array(np.asarray, args)
        if function in PRODUCTS:
            args = self._moved_factors(args)
        result = function(*args, **options)
        return self._rounded(result) if function in PRODUCTS else self._like(result)

    def _moved_factors(self, factors: Any) -> Any:
        """As every product of a sum rounds, so may one of its factors."""
        accumulator = max(self.arithmetic, SINGLE)
        return each_array(lambda x: self._moved(np.asarray(x), accumulator), factors)

    def _rounded(self, result: Any) -> Any:
        x = np.asarray(result)
        if x.dtype != np.float64:
            return result
        moved = self._moved(x, self.arithmetic)
        largest = self.arithmetic.largest
        if moved.size and max(moved.max(), -moved.min()) > largest:
            moved[np.abs(moved) > largest] = np.inf
        return self._like(moved)

    def _moved(self, x: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
        return np.asarray(x + arithmetic.spacing(x) * self.rng.uniform(-1, 1, x.shape))

    def _like(self, result: Any) -> Any:
        if np.ndim(result) == 0:
            return np.float64(result)  # as of plain arrays
        return each_array(partial(noisy, self.arithmetic, self.rng), result)


def noisy(arithmetic: Arithmetic, rng: np.random.Generator, x: np.ndarray) -> Noisy:
    """The same numbers, whose operations round from now on."""
    view = np.asarray(x).view(Noisy)
    view.arithmetic, view.rng = arithmetic, rng
    return view


def each_array(change: Callable[[np.ndarray], Any], value: Any) -> Any:
    """The same tuples, lists and mappings, with every array of numbers or pixels changed."""
    if isinstance(value, np.ndarray | np.floating):
        return change(value) if value.dtype.kind in "fu" else value
    if isinstance(value, tuple | list):
        return type(value)(each_array(change, v) for v in value)
    if isinstance(value, dict):
        return {name: each_array(change, v) for name, v in value.items()}
    return value
