"""Numbers that every language makes alike: the generator of docs/specification.md.

Number i of an array is a function of the array's name and of i, all in 32-bit integers, and each is
exact in float32. So an input is told by its shape and a seed, whatever reads it.
"""

from __future__ import annotations

import numpy as np

BITS = 22
"""Of each number: few enough that 1 + a quarter of it is exact in float32, too."""


def numbers(
    name: str, shape: tuple[int, ...], scale: float = 1.0, centre: float = 0.0
) -> np.ndarray:
    """float32 numbers between `centre - scale` and `centre + scale`, the same for the same name.

    scale: a power of two. centre: 0, or 1 with a scale of at most a quarter.
    """
    half = 2.0 ** (BITS - 1)
    x = integers(name, int(np.prod(shape))).astype(np.float32)
    x -= np.float32(half)
    x *= np.float32(scale / half)
    x += np.float32(centre)
    return x.reshape(shape)


def integers(name: str, count: int) -> np.ndarray:
    """Whole numbers from 0 to 2**22 - 1, as uint32."""
    x = np.arange(count, dtype=np.uint32)
    x *= np.uint32(0x9E3779B9)
    x ^= x >> 16
    x *= np.uint32(0x21F0AAAD)
    x ^= np.uint32(_hash(name))
    x ^= x >> 15
    x *= np.uint32(0x735A2D97)
    x ^= x >> 15
    return x >> (32 - BITS)


def _hash(name: str) -> int:
    """FNV-1a, of 32 bits."""
    key = 0x811C9DC5
    for byte in name.encode():
        key = (key ^ byte) * 0x01000193 % 2**32
    return key
