"""Film a photograph with known camera moves: python docs/example_video.py TARGET.mp4.

The first frame is written beside the video, for a page to show before the video is there.
The photograph is NASA's portrait of Eileen Collins (public domain), which comes with scikit-image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from skimage import data

from docs.camera_motion.moves import MOVES
from docs.camera_motion.render import render
from docs.camera_motion.scenes import Scene

FPS, SIDE = 25, 240
START = np.array([-0.25, 0.45, 0.0, 0.0])
TOUR = (
    ("static", 1.5, 0.0), ("pan right", 2.0, 0.25), ("tilt up", 2.5, 0.4), ("zoom in", 2.0, 0.35),
    ("roll clockwise", 2.0, 0.4), ("roll counter-clockwise", 2.0, 0.4), ("zoom out", 2.0, 0.35),
    ("pan left", 2.0, 0.25), ("static", 1.5, 0.0),
)  # fmt: skip
"""Moves, their seconds, and units a second (see `MOVES`). Each begins upright and unmagnified, or
turns that back, so that a pan is one on the screen too."""


def tour() -> np.ndarray:
    """The camera's pose in every frame: t 4."""
    velocities = [
        np.tile(np.array(MOVES[move]) * speed / FPS, (round(seconds * FPS), 1))
        for move, seconds, speed in TOUR
    ]
    return START + np.cumsum(np.concatenate(velocities), axis=0)


def film(target: Path) -> None:
    """Write the video."""
    picture = data.astronaut().transpose(2, 0, 1).astype(np.float32) / 255
    size = picture.shape[1] / SIDE
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "26"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for pose in tour():
            scene = Scene(0, pose[None], picture, (size, size), np.zeros((0, 1, 5)), np.ones(1))
            pixels = (render([scene], SIDE)[0, 0].permute(1, 2, 0) * 255).round().byte().numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    with av.open(target) as container:
        next(container.decode(video=0)).to_image().save(target.with_suffix(".jpg"), quality=85)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    film(Path(sys.argv[1]))
