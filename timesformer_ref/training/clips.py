"""Clips of videos: random ones for training, fixed ones for evaluation.

Clip number k of a run depends on the run's seed and k alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from timesformer_ref.input.decoding import VideoError
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices
from timesformer_ref.input.video import cut, read_clip, read_frames
from timesformer_ref.training.chance import generator
from timesformer_ref.training.evaluate import NO_CLASS
from timesformer_ref.training.folder import Videos, VideosError
from timesformer_ref.training.recipe import Recipe

DRAWS = 20
"""Number of videos that are tried for a clip, less one."""
STARTS = 1 << 16
"""Number of places, evenly over the video, at which a clip may start."""


@dataclass
class Unreadable:
    """A list of videos to which every process of a run adds. path: a file, a JSON line each."""

    path: Path

    def add(self, video: Path, error: VideoError) -> None:
        """Add a video and why it could not be read."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:  # lines this short are written at once
            file.write(json.dumps({"video": str(video), "error": str(error)}) + "\n")

    def read(self) -> dict[str, str]:
        """Why each of the listed videos could not be read."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        rows = map(json.loads, text.splitlines())
        return {row["video"]: row["error"] for row in rows}


@dataclass
class TrainingClips(Dataset[tuple[Tensor, int]]):
    """Random clips, by number: every video once per epoch, in a new order, cropped anew.

    unreadable: takes note of a video that cannot be read, and another is drawn instead; without it,
        reading raises VideoError.
    """

    videos: Videos
    preprocessing: Preprocessing
    recipe: Recipe
    seed: int
    unreadable: Unreadable | None = None

    def __len__(self) -> int:
        return len(self.videos.paths)

    def __getitem__(self, k: int) -> tuple[Float32[Tensor, "t c H W"], int]:
        epoch, place = divmod(k, len(self))
        number = _order(self.seed, epoch, len(self))[place]
        rng = generator(self.seed, 1, k)
        for draw in range(1, DRAWS):
            path = self.videos.paths[number]
            try:
                clip = random_clip(path, self.preprocessing, self.recipe, rng)
                return torch.from_numpy(clip), self.videos.labels[number]
            except VideoError as error:
                if self.unreadable is None:
                    raise
                self.unreadable.add(path, error)
                rng = generator(self.seed, 1, k, draw)
                number = int(rng.integers(len(self)))
        raise VideosError(f"{path}: the last of {DRAWS - 1} videos that cannot be read")


@dataclass
class EvaluationViews(Dataset[tuple[Tensor, int]]):
    """The views of every video, the same that `classify` takes.

    unreadable: takes note of a video that cannot be read, which is then evaluated as one of no
        class (see `evaluate`); without it, reading raises VideoError.
    """

    videos: Videos
    preprocessing: Preprocessing
    num_clips: int = 1
    unreadable: Unreadable | None = None

    def __len__(self) -> int:
        return len(self.videos.paths)

    def __getitem__(self, i: int) -> tuple[Float32[Tensor, "v t c H W"], int]:
        path, p = self.videos.paths[i], self.preprocessing
        try:
            video = read_clip(path, p, num_clips=self.num_clips).video
        except VideoError as error:
            if self.unreadable is None:
                raise
            self.unreadable.add(path, error)
            views = self.num_clips * p.num_crops
            return torch.zeros(views, p.num_frames, len(p.mean), p.crop, p.crop), NO_CLASS
        return torch.from_numpy(video), self.videos.labels[i]


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
    p = preprocessing
    start, jitter = rng.random(), rng.random(p.num_frames)

    def choose(total: int, fps: float) -> Int64[np.ndarray, " t"]:
        if p.sampling_rate is None:
            return random_segment_indices(total, jitter)
        place = int(start * STARTS)
        return frame_indices(total, fps, p.num_frames, p.sampling_rate, place, STARTS)

    frames = read_frames(path, choose, channels=len(p.mean), pixels=p.pixels)
    least, most = recipe.shorter_side
    part = (
        rng.uniform(1 / most, 1 / least) if recipe.inverse_scale else 1 / rng.uniform(least, most)
    )
    down, right, mirror = rng.random(3)
    squares = [_square(frame, part, down, right) for frame in frames]
    if recipe.flip and mirror < 0.5:
        squares = [square[:, ::-1] for square in squares]
    if recipe.colour_jitter:
        squares = jittered(squares, *rng.uniform(-1, 1, 3) * recipe.colour_jitter)
    whole = replace(p, num_crops=1, single_crop_scale=p.crop)
    return np.concatenate([cut(square, whole) for square in squares])


def jittered(
    frames: Sequence[UInt8[np.ndarray, "H W c"]],
    brightness: float,
    contrast: float,
    saturation: float,
) -> list[UInt8[np.ndarray, "H W c"]]:
    """Frames with each of these changed relative to their own, alike in the whole clip."""
    changed = np.stack(frames).astype(np.float32) * (1 + brightness)
    changed += contrast * (changed - changed.mean())
    changed += saturation * (changed - changed.mean(axis=-1, keepdims=True))
    return list(changed.round().clip(0, 255).astype(np.uint8))


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
