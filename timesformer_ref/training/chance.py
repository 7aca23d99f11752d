"""Random numbers that follow from a seed and from what they are for."""

import numpy as np

SEEDS = 1 << 32
"""How many seeds there are. NumPy cuts a larger number into words: [2**32, 0] is [0, 1] to it."""


def seed_sequence(*numbers: int, stream: tuple[int, ...] = ()) -> np.random.SeedSequence:
    """The seeds that follow from a few numbers, such as a run's seed and the number of a clip.

    stream: what they are for; no two streams have a seed in common, whatever the numbers.
    Raises ValueError for more than four numbers, and for one below 0 or from 2**32 on.
    """
    if len(numbers) > 4 or not all(0 <= number < SEEDS for number in numbers):
        raise ValueError(f"seed {numbers} is impossible: use up to 4 from 0 to {SEEDS - 1}")
    return np.random.SeedSequence(numbers, spawn_key=stream)


def generator(*numbers: int, stream: tuple[int, ...] = ()) -> np.random.Generator:
    """A generator with those seeds (see `seed_sequence`)."""
    return np.random.default_rng(seed_sequence(*numbers, stream=stream))
