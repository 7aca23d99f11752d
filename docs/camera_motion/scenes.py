"""The contents of a generated clip, drawn at random from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from docs.camera_motion.moves import LABELS, SPEEDS, camera_path
from docs.camera_motion.textures import texture
from timesformer_ref.training.chance import generator

Seconds = Float[np.ndarray, " t"]


@dataclass(frozen=True)
class Scene:
    """The contents of a clip. Lengths are in frames: 1 is a frame's width and its height.

    label: the move's place in `LABELS`.
    path: the camera's pose at each frame (see `camera_path`), from the middle of the picture.
    picture: the background, mirrored at its borders, and size, its width and height.
    objects: discs in the foreground, frame by frame: centre x and y on the screen, from its
        middle, radius (0 for none), and x and y of the part of the picture on their surface.
    brightness: a factor for each frame.
    blur: the part of each of its two neighbours in a pixel, along both axes; 0 is sharp.
    noise: standard deviation of the noise that is added to each pixel, drawn from noise_seed.
    """

    label: int
    path: Float[np.ndarray, "t 4"]
    picture: Float32[np.ndarray, "3 h w"]
    size: tuple[float, float]
    objects: Float[np.ndarray, "n t 5"]
    brightness: Float[np.ndarray, " t"]
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0


def draw_scene(
    seed: int, number: int, seconds: Seconds, ease: float = 0.0, stream: tuple[int, ...] = ()
) -> Scene:
    """Scene number `number` of a seed, independent of the others.

    seconds: when the frames are taken; second 0 is the middle.
    ease: from 0, all kinds, to 1, which has only coarse pictures and fast steady cameras without
        objects and noise: what a model learns from first.
    stream: what the scene is for, as for `seed_sequence`; by default training.
    """
    rng = generator(seed, number, stream=stream)
    label = int(rng.integers(len(LABELS)))
    side = float(np.exp(rng.uniform(np.log(1.2), np.log(3.0))))
    return Scene(
        label=label,
        path=_path(rng, LABELS[label], seconds, side, ease),
        picture=texture(rng, ease),
        size=(side, side),
        objects=_objects(rng, seconds, side) * (rng.random() >= ease),
        brightness=_brightness(rng, seconds),
        blur=rng.uniform(0, 1 / 3) * (rng.random() < 0.5),
        noise=(1 - ease) * rng.uniform(0, 0.06) * (rng.random() < 0.7),
        noise_seed=int(rng.integers(2**31)),
    )


def _path(
    rng: np.random.Generator, move: str, seconds: Seconds, side: float, ease: float
) -> Float[np.ndarray, "t 4"]:
    """A path of the move from a random place and, half of the time, at a random angle.

    A little of the other moves is mixed in. A pan is one on the screen, so its direction in the
    picture depends on the angle.
    """
    slowest, fastest = np.log(SPEEDS)
    speed = float(np.exp(rng.uniform(slowest + 0.7 * ease * (fastest - slowest), fastest)))
    path = camera_path(move, speed, seconds, rng.uniform(0, 0.5), rng.uniform(0, 2 * np.pi))
    others = rng.normal(0, 0.005 if move == "static" else 0.08 * speed, 4) * ~path.any(axis=0)
    path = path + (1 - ease) * (np.outer(seconds, others) + _tremble(rng, seconds))
    angle = rng.uniform(-np.pi, np.pi) * (rng.random() < 0.5)
    right, down = [np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]
    path[:, :2] = path[:, :2] @ [right, down] + rng.uniform(-side / 2, side / 2, 2)
    path[:, 3] += angle
    return path


def _tremble(rng: np.random.Generator, seconds: Seconds) -> Float[np.ndarray, "t 4"]:
    """Camera shake, half of the time: two waves of up to 0.006 in each direction."""
    rate, phase = rng.uniform(2, 20, (2, 4)), rng.uniform(0, 2 * np.pi, (2, 4))
    waves = np.sin(seconds[:, None, None] * rate + phase).sum(axis=1)
    return rng.uniform(0, 0.006) * (rng.random() < 0.5) * waves


def _objects(rng: np.random.Generator, seconds: Seconds, side: float) -> Float[np.ndarray, "n t 5"]:
    """Up to two discs that move on their own."""
    objects = np.zeros((2, len(seconds), 5))
    for disc in objects[: rng.choice(3, p=[0.5, 0.35, 0.15])]:
        start, velocity = rng.uniform(-0.5, 0.5, 2), rng.normal(0, 0.3, 2)
        disc[:, :2] = start + np.outer(seconds, velocity)
        disc[:, 2] = rng.uniform(0.04, 0.18)
        disc[:, 3:] = rng.uniform(-side / 2, side / 2, 2)
    return objects


def _brightness(rng: np.random.Generator, seconds: Seconds) -> Float[np.ndarray, " t"]:
    """An exposure that drifts and flickers."""
    drift, flicker = rng.normal(0, [0.1, 0.05])
    return rng.uniform(0.5, 1.1) * (1 + drift * seconds + flicker * np.sin(8 * seconds))
