"""The reference: the expected results, by the port interface. The golden vectors prove it right.

All functions are those of the NumPy port, which compute in the type of their input (here float64),
but `crops`: there it computes as PyTorch does, in float32; here it is plain arithmetic.
"""

from __future__ import annotations

import numpy as np
from einops import rearrange

from spec_tests.ports.numpy_port import *  # noqa: F403


def crops(frames: np.ndarray, scale: int, crop: int) -> np.ndarray:
    """Three views, v t c crop crop, of frames t H W c with values from 0 to 255."""
    height, width = frames.shape[1:3]
    down, right = height, width
    if min(height, width) != scale:
        down = scale if height <= width else int(np.floor(height / width * scale))
        right = scale if width <= height else int(np.floor(width / height * scale))
    pixels = rearrange((frames / 255 - 0.45) / 0.225, "t h w c -> t c h w")
    pixels = _resize(_resize(pixels, down).mT, right).mT
    y, x = down - crop, right - crop
    ends = (
        [(0, -(-x // 2)), (y, -(-x // 2))] if down > right else [(-(-y // 2), 0), (-(-y // 2), x)]
    )
    corners = [ends[0], (-(-y // 2), -(-x // 2)), ends[1]]
    return np.stack([pixels[..., y : y + crop, x : x + crop] for y, x in corners])


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """The pixels with another number of rows, by linear interpolation between pixel centres."""
    rows = pixels.shape[-2]
    places = np.arange(size) + 0 * pixels[0, 0, :1, 0]  # of the pixels' arithmetic
    source = ((places + 0.5) * rows / size - 0.5).clip(0, rows - 1)
    above = np.floor(np.asarray(source)).astype(int).clip(0, max(rows - 2, 0))
    share = (source - above)[:, None]
    below = np.minimum(above + 1, rows - 1)
    return pixels[..., above, :] * (1 - share) + pixels[..., below, :] * share
