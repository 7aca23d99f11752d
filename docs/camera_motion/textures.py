"""Random background pictures: shapes that cover each other, and clouds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageDraw
from scipy.fft import irfft2

SIDE = 96
"""Height and width of a picture, pixels."""
SHAPES = ("ellipse", "box", "triangle", "line")


def texture(rng: np.random.Generator, ease: float = 0.0) -> Float32[np.ndarray, "3 h w"]:
    """A picture of shapes, clouds, or both, whose values lie in [0, 1] but for 4 %.

    ease: 0 for all kinds, from coarse to fine; 1 for coarse ones only.
    """
    clouded = rng.choice([0.0, 1.0, rng.uniform(0.1, 0.9)], p=[0.25, 0.25, 0.5])
    picture = np.zeros((3, SIDE, SIDE), np.float32)
    if clouded < 1:
        picture += np.float32(1 - clouded) * shapes(rng, ease)
    if clouded > 0:
        picture += np.float32(clouded) * clouds(rng, ease)
    if rng.random() < 0.2:
        picture[:] = picture.mean(axis=0)
    low, high = np.quantile(picture, [0.02, 0.98]).astype(np.float32)
    return (picture - low) / max(high - low, np.float32(1e-3))


def shapes(rng: np.random.Generator, ease: float) -> Float32[np.ndarray, "3 h w"]:
    """Shapes that cover each other, in [0, 1].

    Few are large and many small, as are things in photographs: sizes follow a power law.
    """
    count = int(np.exp(rng.uniform(np.log(8), np.log(200) - 2 * ease)))
    smallest = SIDE * (0.03 + 0.07 * ease)
    sizes = np.minimum(smallest * rng.uniform(0.02, 1, count) ** -0.8, SIDE / 2)
    centres = rng.uniform(0, SIDE, (count, 2))
    ground, contrast = rng.uniform(0, 255, 3), rng.uniform(0.2, 1)
    colours = ground + contrast * (rng.uniform(0, 255, (count, 3)) - ground)
    angles = rng.uniform(0, 2 * np.pi, (count, 3))
    corners = centres[:, None] + sizes[:, None, None] * np.stack(
        [np.cos(angles), np.sin(angles)], axis=-1
    )
    image = Image.new("RGB", (SIDE, SIDE), tuple(ground.astype(int).tolist()))
    draw = ImageDraw.Draw(image)
    for kind, (x, y), size, triangle, colour in zip(
        rng.choice(SHAPES, count),
        centres.tolist(),
        sizes.tolist(),
        corners,
        colours.astype(int).tolist(),
        strict=True,
    ):
        box, fill = (x - size, y - 0.7 * size, x + size, y + 0.7 * size), tuple(colour)
        points = [tuple(corner) for corner in triangle.tolist()]
        if kind == "ellipse":
            draw.ellipse(box, fill)
        elif kind == "box":
            draw.rectangle(box, fill)
        elif kind == "triangle":
            draw.polygon(points, fill)
        else:
            draw.line(points[:2], fill, width=1 + int(size / 8))
    return np.asarray(image, np.float32).transpose(2, 0, 1) / 255


def clouds(rng: np.random.Generator, ease: float) -> Float32[np.ndarray, "3 h w"]:
    """Coloured noise around 1/2, from soft to grainy: it falls as a power of the frequency."""
    down = np.fft.fftfreq(SIDE)[:, None] * SIDE
    right = np.fft.rfftfreq(SIDE)[None] * SIDE
    power = rng.uniform(0.6 + 1.6 * ease, 2.2 + ease)
    amplitude = (down**2 + right**2 + 1) ** (-power / 2)
    waves = rng.standard_normal((3, *amplitude.shape, 2), np.float32) @ np.array([1, 1j], "c8")
    grey = irfft2(waves * amplitude.astype(np.float32), (SIDE, SIDE))
    mixed = np.einsum("ij,jhw->ihw", rng.normal(1, 0.3, (3, 3)).astype(np.float32), grey)
    return np.float32(0.5) + np.float32(0.25) * mixed / mixed.std()
