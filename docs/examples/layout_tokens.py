"""The order of tokens: time fastest, and what a reshape to frames makes of it."""

from __future__ import annotations

import numpy as np

t, h, w = 2, 1, 3
names = np.array([f"{y}{x}f{f}" for y in range(h) for x in range(w) for f in range(t)])
print("as they lie between blocks  ", *names)

by_place = names.reshape(h * w, t)
by_frame = by_place.T
print("temporal groups, a row each ", *map(str, by_place.tolist()))
print("spatial groups, a row each  ", *map(str, by_frame.tolist()))
print("wrong: reshaped to frames   ", *map(str, names.reshape(t, h * w).tolist()))
print("a port with time slowest    ", *by_frame.ravel())
print("to it                        tokens.reshape(b, h*w, t, d).swapaxes(1, 2)")
print("back the same               ", np.array_equal(by_frame.reshape(t, h * w).T.ravel(), names))
