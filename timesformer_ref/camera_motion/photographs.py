"""Known camera moves over real photographs, which are not used in training."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float32
from PIL import Image

from timesformer_ref.camera_motion.moves import LABELS, SPEEDS, camera_path
from timesformer_ref.camera_motion.scenes import Scene, Seconds
from timesformer_ref.training.chance import PHOTOGRAPHS as STREAM
from timesformer_ref.training.chance import generator

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "moon", "page", "rocket",
)  # fmt: skip
"""The photographs that come with scikit-image, by their names in `skimage.data`."""
SIZE = 2.75
"""Shorter side of a photograph, in frames: enough for the fastest move."""
DENSITY = 64
"""Pixels of a photograph per width of a frame, more than twice a frame's own."""


def photograph_scenes(seconds: Seconds, speeds: int, seed: int = 0) -> list[Scene]:
    """Scenes of every move over every photograph at several speeds, from slowest to fastest.

    The camera starts where its path stays within the picture. seconds: as for `draw_scene`.
    """
    steps = np.geomspace(*SPEEDS, speeds).tolist()
    return [
        _scene(name, move, speed, seconds, generator(seed, number, stream=STREAM))
        for number, (name, move, speed) in enumerate(product(PHOTOGRAPHS, LABELS, steps))
    ]


def _scene(name: str, move: str, speed: float, seconds: Seconds, rng: np.random.Generator) -> Scene:
    picture = photograph(name)
    size = np.array(picture.shape[:0:-1]) / DENSITY
    path = camera_path(move, speed, seconds)
    reach = np.abs(path[:, :2]).max(axis=0) + np.exp(-path[:, 2].min()) / 2
    path[:, :2] += rng.uniform(-1, 1, 2) * np.maximum(size / 2 - reach, 0)
    return Scene(
        label=LABELS.index(move),
        path=path,
        picture=picture,
        size=(size[0], size[1]),
        objects=np.zeros((0, len(seconds), 5)),
        brightness=np.ones(len(seconds)),
    )


@cache
def photograph(name: str) -> Float32[np.ndarray, "3 h w"]:
    """A photograph in [0, 1], resized to `SIZE` frames."""
    from skimage import data

    image = Image.fromarray(getattr(data, name)()).convert("RGB")
    scale = SIZE * DENSITY / min(image.size)
    width, height = (round(scale * length) for length in image.size)
    small = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32).transpose(2, 0, 1) / 255
