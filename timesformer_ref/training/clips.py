"""Clips of videos: random ones for training, fixed ones for evaluation.

Clip number k of a run depends on the run's seed and k alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices
from timesformer_ref.input.video import read_clip, read_frames
from timesformer_ref.input.views import crops
from timesformer_ref.training.chance import generator
from timesformer_ref.training.folder import Videos
from timesformer_ref.training.recipe import Recipe

STARTS = 1 << 16
"""Number of places, evenly over the video, at which a clip may start."""


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """Random clips, by number: every video once per epoch, in a new order, cropped anew.

    recipe: its `shorter_side` and `flip`.
    """

    def __init__(
        self,
        videos: Videos,
        preprocessing: Preprocessing,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.videos, self.preprocessing, self.recipe = videos, preprocessing, recipe
        self.seed = seed

    def __len__(self) -> int:
        return len(self.videos.paths)

    def __getitem__(self, k: int) -> tuple[Float32[Tensor, "t c H W"], int]:
        epoch, place = divmod(k, len(self))
        number = _order(self.seed, epoch, len(self))[place]
        rng = generator(self.seed, 1, k)
        path = self.videos.paths[number]
        clip = random_clip(path, self.preprocessing, self.recipe, rng)
        return torch.from_numpy(clip), self.videos.labels[number]


class EvaluationViews(Dataset[tuple[Tensor, int]]):
    """The views of every video, the same that `classify` takes."""

    def __init__(self, videos: Videos, preprocessing: Preprocessing, num_clips: int = 1) -> None:
        self.videos, self.preprocessing, self.num_clips = videos, preprocessing, num_clips

    def __len__(self) -> int:
        return len(self.videos.paths)

    def __getitem__(self, i: int) -> tuple[Float32[Tensor, "v t c H W"], int]:
        path = self.videos.paths[i]
        clip = read_clip(path, self.preprocessing, num_clips=self.num_clips)
        return torch.from_numpy(clip.video), self.videos.labels[i]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, videos: int) -> list[int]:
    return generator(seed, 0, epoch).permutation(videos).tolist()


def random_clip(
    path: Path, preprocessing: Preprocessing, recipe: Recipe, rng: np.random.Generator
) -> Float32[np.ndarray, "t c crop crop"]:
    """A clip from a random place in a video, cropped to a random square and randomly mirrored.

    The square is cut out first and resized then; the original resizes first, so its squares lie
    between pixels. Raises VideoError (see `read_frames`).
    """
    start, jitter = rng.random(), rng.random(preprocessing.num_frames)

    def choose(total: int, fps: float) -> Int64[np.ndarray, " t"]:
        t, rate = preprocessing.num_frames, preprocessing.sampling_rate
        if rate is None:
            return random_segment_indices(total, jitter)
        return frame_indices(total, fps, t, rate, int(start * STARTS), STARTS)

    frames = read_frames(
        path, choose, channels=len(preprocessing.mean), pixels=preprocessing.pixels
    )
    part = 1 / rng.uniform(*recipe.shorter_side)
    down, right, mirror = rng.random(3)
    squares = [_square(frame, part, down, right) for frame in frames]
    if recipe.flip and mirror < 0.5:
        squares = [square[:, ::-1] for square in squares]
    views = [
        crops(
            square[None],
            preprocessing.crop,
            preprocessing.crop,
            num_crops=1,
            mean=preprocessing.mean,
            std=preprocessing.std,
            channel_order=preprocessing.channel_order,
            antialias=preprocessing.antialias,
        )[0, 0]
        for square in squares
    ]
    return np.stack(views)


def random_segment_indices(
    total: int, places: Float64[np.ndarray, " t"]
) -> Int64[np.ndarray, " t"]:
    """One frame from each of equal segments, at a place of 0 to 1 (original `datasets/ssv2.py`).

    Bounds are rounded as in `segment_indices`, and belong to both segments.
    """
    bounds = np.round((total - 1) / len(places) * np.arange(len(places) + 1)).astype(np.int64)
    return bounds[:-1] + (places * (np.diff(bounds) + 1)).astype(np.int64)


def _square(
    frame: UInt8[np.ndarray, "H W c"], part: float, down: float, right: float
) -> UInt8[np.ndarray, "s s c"]:
    """A square whose side is this part of the frame's shorter one, at a place of 0 to 1."""
    height, width, _ = frame.shape
    side = max(1, round(part * min(height, width)))
    y, x = int(down * (height - side + 1)), int(right * (width - side + 1))
    return frame[y : y + side, x : x + side]
