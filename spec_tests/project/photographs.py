"""Known camera moves over real photographs, forwards, backwards and mirrored."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float32
from PIL import Image

from docs.camera_motion.clips import EvaluationClips, frame_seconds
from docs.camera_motion.moves import LABELS, SPEEDS, camera_path
from docs.camera_motion.scenes import Scene, Seconds
from timesformer_ref.training.chance import generator

PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
    "hubble_deep_field", "moon", "page", "rocket",
)  # fmt: skip
"""The photographs that come with scikit-image, by their names in `skimage.data`."""
STREAM = (2,)
"""The stream of their random numbers (see `seed_sequence`)."""
SIZE = 2.75
"""Shorter side of a photograph, in frames: enough for the fastest move."""
DENSITY = 64
"""Pixels of a photograph per width of a frame, more than twice a frame's own."""


MOVING = LABELS[1:]
OPPOSITE = {"static": "static"} | {
    move: other
    for pair in zip(MOVING[::2], MOVING[1::2], strict=True)
    for move, other in (pair, pair[::-1])
}
MIRRORED = {move: OPPOSITE[move] if move.startswith(("pan", "roll")) else move for move in LABELS}
SHOWN = {
    "forwards": ((), {move: move for move in LABELS}),
    "backwards": ((1,), OPPOSITE),
    "mirrored": ((4,), MIRRORED),
}
"""The axes of views along which clips are reversed, and what each move becomes by that."""


class PhotographClips(EvaluationClips):
    """Clips of every move over every photograph, at several speeds. shown: a name from `SHOWN`."""

    def __init__(self, preprocessing, speeds=10, shown="forwards"):
        super().__init__(photograph_scenes(frame_seconds(preprocessing), speeds), preprocessing)
        self.reversed, self.becomes = SHOWN[shown]

    def __getitem__(self, number):
        views, label = super().__getitem__(number)
        return views.flip(self.reversed), LABELS.index(self.becomes[LABELS[label]])


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
