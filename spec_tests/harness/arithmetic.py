"""How far off a right port may be: the rounding error of its arithmetic, measured on each input.

Every bound on what a model computes comes from here (`judging.Question.allowed` applies it). This
is the whole argument.

What is computed
    f is a function of the port interface and x its input: tokens, weights and the like. A port that
    computes in `float32`, say, is handed x rounded to float32. Expected is f(x) by the NumPy
    implementation in float64 (or the original's number, where there is a golden vector). Then the
    same NumPy code runs again on the rounded x as `Noisy` arrays. Its operations are computed in
    float64, but the result r of every single one is moved by a random number, uniform between -1
    and 1 spacings of the port's arithmetic at r. (The spacing at r is the distance between
    neighbouring numbers there, so it follows the size of r. One rounding to nearest moves r by at
    most half of it.) The largest difference from f(x) over all numbers of the result is what this
    run measures. `TRIALS` = 3 such runs are made, with noise from fixed seeds; the measured error
    is the largest of the three, and never less than rounding the largest expected number once. The
    bound is `ROUNDINGS` = 16 times the measured error. If f returns several parts (the gradient of
    each weight), each part is measured and judged by itself. A port fails where its largest
    difference from f(x) is above the bound.

What rounds
    Each elementwise operation (add, multiply, exp, erf, square root, ...) and each sum or mean
    rounds its result. In a matrix product every product of a sum rounds, too; that is imitated by
    moving the factors before they are multiplied: in the port's arithmetic, or in float32 for the
    16-bit types, whose hardware accumulates in float32. Copying, indexing, rearranging, comparing,
    maximum, minimum, negation, absolute value and rounding to whole numbers make no error.

    A port may add the n terms of a sum one after another, and then each partial sum rounds, again
    in float32 for the 16-bit types. In a sum of 3,072 terms that is most of its error. The partial
    sum p_j of j terms is not known here, but its size is: with r the whole sum and S^2 the sum of
    the terms' squares, p_j^2 is about j/n S^2 where the terms have either sign, and (j/n r)^2 where
    they have one. Both together, summed over the n - 2 partial sums between the first term and the
    result, give (n - 2) (S^2/2 + r^2/3); the root of that, in spacings, is how far the sum is
    moved at random, besides. (A spacing at p is at most 2 u p, with the unit roundoff u.) Nor is a
    sum out of range that float32 can hold. A running sum (`np.add.accumulate`) keeps its partial
    sums, so they round in the port's arithmetic: that is how the gradients of a LayerNorm's scale
    and shift are written, since PyTorch sums them over all tokens in 16 bits on a CPU.

Why a right port stays below it
    A right port computes the same function with a rounding error d_i in each intermediate result
    r_i. To first order its total error is the sum over i of s_i d_i, where the sensitivity s_i is
    the derivative of the output with respect to r_i. A noisy run has the same sensitivities, since
    it runs the same function on the same input: its error is the sum of s_i e_i. Whatever amplifies
    an error there (a LayerNorm of tiny tokens, large attention scores, cancellation in a sum) has
    amplified both. What differs is d against e. A rounding d_i is at most half a spacing, with a
    standard deviation of 0.29 spacings; e_i is up to a whole one, with 0.58. So where roundings are
    independent, the error of a port has half the standard deviation of the measured one. The factor
    16 is for what is not so:
    - other operations: another order of sums, fused kernels, another formula for the variance, an
      exp or erf that is a few spacings off. They change which r_i there are, and by small factors
      how many.
    - roundings that agree. If N intermediate results of equal influence were all rounded in the
      most harmful direction, the error would be 0.87 sqrt(N) standard deviations of the measured
      one, so that 16 still covers N = 340. Roundings in practice do not conspire.
    - luck. Of many numbers and three runs, the largest error is never small by chance. The worst
      case is a result of a single number (a loss): three runs might all hit near zero. With
      independent roundings, one right port in 40,000 would fail there (simulated: half a standard
      normal against 16 times the largest of three).
    Right ports of this project (NumPy, PyTorch, C, JAX; folded, packed, compiled; in four
    arithmetics) were measured to reach about 3 times the measured error, a fifth of the bound.

What it does not claim
    - It is no proof. It is a first-order, statistical estimate with a published factor; a strict
      worst-case bound would be so wide that it lets mistakes pass.
    - Passing does not prove equality. A mistake whose effect on this input is below the rounding
      error of the arithmetic passes: an epsilon of 1e-5 for 1e-6 in bfloat16, for instance. So
      cases differ widely in size and scale, some tokens are tiny, and a port in float32 or float64
      is tested more sharply than the same port in 16 bits.
    - A 16-bit type may leave no digit: in a LayerNorm of numbers that are all but equal, a rounding
      changes the deviation many times over, and what follows is not of first order. Where the bound
      is above the largest expected number there, only what is not finite fails.
    - One bound holds for all numbers of a part: small ones are judged by the error of the worst.
    - It is about the arithmetic that the port declares as its `DTYPE`. A port that computes with
      fewer digits (TF32 products, a fast exp) can fail, and should declare what it is.
    - Where the noisy reference itself overflows, nothing is judged: the test stops with an error of
      the suite. Numbers below the smallest normal one keep the spacing of that one, so a port that
      flushes them to zero has an error that is only covered where larger numbers dominate.
    - Indices of frames and weights read from files have no rounding and are compared exactly;
      fresh random weights are judged by standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

EXPONENT = np.int64(0x7FF0000000000000)
"""The bits of a float64 that hold its exponent."""


class Arithmetic(NamedTuple):
    """A binary floating-point type.

    digits: of the significand, the hidden one included. smallest: the exponent of the smallest
    normal number. largest: the largest finite number.
    """

    digits: int
    smallest: int
    largest: float

    @property
    def unit(self) -> float:
        """The unit roundoff: the largest relative error of rounding to the nearest number."""
        return 2.0**-self.digits

    def spacing(self, x: np.ndarray) -> np.ndarray:
        """The distance from each number to the next larger one in size."""
        power = (x.view(np.int64) & EXPONENT).view(np.float64)  # of two, not above |x|
        return np.maximum(power, 2.0**self.smallest) * 2.0 ** (1 - self.digits)

    def round(self, x: np.ndarray) -> np.ndarray:
        """The nearest numbers of this arithmetic, ties to even, as float64."""
        x = np.asarray(x)
        if self.digits in NATIVE:
            return x.astype(NATIVE[self.digits]).astype(np.float64)
        step = self.spacing(x.astype(np.float64))
        return np.rint(x / step) * step

    def leaves_no_digit(self, bound: float, largest: float) -> bool:
        """Whether 16 bits say nothing of numbers that are this large and may be so far off."""
        return self < SINGLE and bound > largest


NATIVE = {53: np.float64, 24: np.float32, 11: np.float16}
"""NumPy's types, by their digits."""

ARITHMETICS = {
    "float64": Arithmetic(53, -1022, float(np.finfo(np.float64).max)),
    "float32": Arithmetic(24, -126, float(np.finfo(np.float32).max)),
    "bfloat16": Arithmetic(8, -126, (2 - 2.0**-7) * 2.0**127),
    "float16": Arithmetic(11, -14, 65504.0),
}

SINGLE = ARITHMETICS["float32"]

EXACT = {np.floor, np.rint, np.maximum, np.minimum, np.negative, np.absolute}
"""Functions whose results are exact, so that they are not moved."""

PRODUCTS = {np.matmul, np.tensordot}
"""Functions that also round each product of a sum; 16-bit types accumulate in float32."""


class Noisy(np.ndarray):
    """A float64 array of which every operation's result is moved by up to one spacing, at random.

    A NumPy function that is called with noisy arrays so makes errors of the size that it would make
    in that arithmetic. What overflows the arithmetic becomes infinite.
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
            result = self._product(ufunc, plain, options)
        else:
            result = getattr(ufunc, method)(*plain, **options)
        if result is None:  # np.add.at has changed its first argument
            return None
        largest = self.arithmetic.largest
        if ufunc is np.add and method == "reduce":
            squares = np.add.reduce(np.square(plain[0]), **options)
            count = plain[0].size // max(np.size(result), 1)
            result = self._summed(result, squares, count, self._accumulator)
            largest = self._accumulator.largest
        if ufunc is np.add and method == "accumulate":
            squares = np.add.accumulate(np.square(plain[0]), **options)
            result = self._summed(result, squares, len(result), self.arithmetic)
        result = self._like(result) if ufunc in EXACT else self._rounded(result, largest)
        if target is None:
            return result
        target[...] = result
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        options = each_array(np.asarray, options)
        args = each_array(np.asarray, args)
        if function in PRODUCTS:
            return self._rounded(self._product(function, args, options), self.arithmetic.largest)
        return self._like(function(*args, **options))

    def _product(self, function: Any, factors: Any, options: Any) -> np.ndarray:
        """A product of matrices, with the errors of each product and of each partial sum."""
        moved = each_array(lambda x: self._moved(np.asarray(x), self._accumulator), factors)
        squares = function(*each_array(np.square, factors), **options)
        total, count = function(*moved, **options), factors[0].shape[-1]
        return self._summed(total, squares, count, self._accumulator)

    def _summed(self, total: Any, squares: Any, count: int, accumulator: Arithmetic) -> Any:
        """A sum of `count` terms, with the errors of its partial sums; `squares`: of the terms."""
        if count < 3:
            return total
        size = np.sqrt((count - 2) * (squares / 2 + np.square(total) / 3))
        spacings = 2 * accumulator.unit * size
        return total + spacings * self.rng.uniform(-1, 1, np.shape(total))

    @property
    def _accumulator(self) -> Arithmetic:
        """In which sums are made: 16-bit types add in float32."""
        return max(self.arithmetic, SINGLE)

    def _rounded(self, result: Any, largest: float) -> Any:
        x = np.asarray(result)
        if x.dtype != np.float64:
            return result
        moved = self._moved(x, self.arithmetic)
        too_large = np.abs(moved) > largest
        if too_large.any():
            moved[too_large] = np.inf
        return self._like(moved)

    def _moved(self, x: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
        return np.asarray(x + arithmetic.spacing(x) * self.rng.uniform(-1, 1, x.shape))

    def _like(self, result: Any) -> Any:
        if isinstance(result, np.ndarray) and result.ndim:
            return noisy(self.arithmetic, self.rng, result) if result.dtype.kind == "f" else result
        if np.ndim(result) == 0:
            return np.float64(result)  # as NumPy does for plain arrays
        return each_array(partial(noisy, self.arithmetic, self.rng), result)


def noisy(arithmetic: Arithmetic, rng: np.random.Generator, x: np.ndarray) -> Noisy:
    """A view of the array as `Noisy`: operations on it make errors of this arithmetic."""
    view = np.asarray(x).view(Noisy)
    view.arithmetic, view.rng = arithmetic, rng
    return view


def each_array(change: Callable[[np.ndarray], Any], value: Any) -> Any:
    """The same nested value, with `change` applied to each array of floats or pixels in it."""
    if isinstance(value, np.ndarray | np.floating):
        return change(value) if value.dtype.kind in "fu" else value
    if isinstance(value, tuple | list):
        return type(value)(each_array(change, v) for v in value)
    if isinstance(value, dict):
        return {name: each_array(change, v) for name, v in value.items()}
    return value
