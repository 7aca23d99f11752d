"""A linear layer's weight for a library that multiplies from the left or from the right."""

from __future__ import annotations

import numpy as np

rng = np.random.default_rng(0)
weight, bias = rng.standard_normal((6, 4)), rng.standard_normal(6)  # outputs × inputs
x = rng.standard_normal((2, 4))

linear = x @ weight.T + bias
dense = {"kernel": weight.T, "bias": bias}  # inputs × outputs
print("Linear  weight", weight.shape, " Dense  kernel", dense["kernel"].shape)
print("same   ", np.allclose(linear, x @ dense["kernel"] + dense["bias"]))

stored = np.asfortranarray(weight)
print("\nfirst numbers in memory, by rows   ", weight.ravel("K")[:3].round(2))
print("first numbers in memory, by columns", stored.ravel("K")[:3].round(2))
print("bytes by columns, read as inputs × outputs by rows, are the Dense kernel:",
      np.array_equal(stored.ravel("K").reshape(4, 6), dense["kernel"]))  # fmt: skip

square = rng.standard_normal((4, 4))
print("a square weight fits untransposed, and is wrong by",
      f"{np.abs(x @ square - x @ square.T).max():.1f}")  # fmt: skip
