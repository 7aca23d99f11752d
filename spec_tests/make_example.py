"""Make a video and a full-size checkpoint of random weights to try the commands on.

python -m spec_tests.make_example FOLDER [FRAMES] [SIZE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import torch

from timesformer_ref.checkpoints import Checkpoint, save_checkpoint
from timesformer_ref.checkpoints.initialise import random_weights
from timesformer_ref.config import TimeSformerConfig


def random_checkpoint(config: TimeSformerConfig, seed: int = 0) -> Checkpoint:
    """A checkpoint of random weights, none at zero."""
    weights = random_weights(config, seed)
    return Checkpoint(config, {name: torch.from_numpy(w) for name, w in weights.items()})


def write_video(path: Path, frames: int = 90, height: int = 240, width: int = 320) -> None:
    """A disc that crosses a gradient, at 30 frames per second."""
    y, x = np.mgrid[:height, :width]
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 1_000_000
        for t in range(frames):
            disc = np.hypot(y - height / 2, x - width * t / frames) < height / 6
            picture = np.stack([255 * x // width, 255 * y // height, 255 * disc], axis=2)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main(folder: Path, num_frames: int = 8, image_size: int = 224) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = TimeSformerConfig(num_frames=num_frames, image_size=image_size)
    write_video(folder / "video.mp4")
    save_checkpoint(random_checkpoint(config), folder / "random.pyth")
    print(f"{folder / 'video.mp4'} and {folder / 'random.pyth'} (random weights) are ready")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
