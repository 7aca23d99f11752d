"""The nine camera moves as one table, and the path of a camera."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

MOVES: dict[str, tuple[float, float, float, float]] = {
    "static": (0, 0, 0, 0),
    "pan left": (-1, 0, 0, 0),
    "pan right": (1, 0, 0, 0),
    "tilt up": (0, -1, 0, 0),
    "tilt down": (0, 1, 0, 0),
    "zoom in": (0, 0, 1, 0),
    "zoom out": (0, 0, -1, 0),
    "roll clockwise": (0, 0, 0, 1),
    "roll counter-clockwise": (0, 0, 0, -1),
}
"""For each label, the change of the camera's pose: x right, y down, log magnification, angle.

The names are the camera's, so the picture's content moves against them: at pan left to the right,
at tilt up downwards, at roll clockwise counter-clockwise; at zoom in it grows. One unit is the
frame's width, its height, a magnification by e, one radian; so the content at the middle of the
frame's edge moves half as fast in a zoom or a roll as in a pan of the same speed.
"""

LABELS = tuple(MOVES)
SPEEDS = (1 / 9, 1.0)
"""Units per second: from a third of the frame in three seconds to the whole frame in one."""


def camera_path(
    move: str,
    speed: float,
    seconds: Float[np.ndarray, " t"],
    unsteady: float = 0.0,
    phase: float = 0.0,
) -> Float[np.ndarray, "t 4"]:
    """The camera's pose (x, y, log magnification, angle) at these moments; at second 0 it is zero.

    speed: average units per second; the speed varies around it as a sinusoid of two seconds, of
    amplitude `unsteady` (0 to 1) relative to it and of `phase` (radians), and never reverses.
    """
    swell = unsteady / np.pi * (np.sin(np.pi * seconds + phase) - np.sin(phase))
    return np.outer(speed * (seconds + swell), MOVES[move])
