"""Generated clips as data sets for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor
from torch.utils.data import Dataset

from docs.camera_motion.render import render
from docs.camera_motion.scenes import Scene, draw_scene
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import TARGET_FPS

FRESH = (1,)
"""The stream of random numbers of what models are evaluated on; that of training is `()`."""
AT_ONCE = 16
"""Number of scenes rendered together: few enough for a processor's cache."""


def frame_seconds(preprocessing: Preprocessing) -> Float[np.ndarray, " t"]:
    """The times of a clip's frames, in seconds from the middle of the clip."""
    frames, rate = preprocessing.num_frames, preprocessing.sampling_rate or 1
    span = (frames * rate - 1) / TARGET_FPS
    return np.linspace(-span / 2, span / 2, frames)


def make_clips(
    scenes: Sequence[Scene], preprocessing: Preprocessing
) -> list[tuple[Float32[Tensor, "t c H W"], int]]:
    """Render scenes to normalised clips with their labels. All pictures must have one shape."""
    clips = torch.cat(
        [
            render(scenes[first : first + AT_ONCE], preprocessing.crop)
            for first in range(0, len(scenes), AT_ONCE)
        ]
    )
    labels = (scene.label for scene in scenes)
    return list(zip(normalise(clips, preprocessing), labels, strict=True))


def normalise(
    clips: Float32[Tensor, "b t c H W"], preprocessing: Preprocessing
) -> Float32[Tensor, "b t c H W"]:
    """Normalise pixels in [0, 1] with the mean and std of the preprocessing."""
    mean, std = (
        rearrange(torch.tensor(numbers), "c -> c 1 1")
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return (clips - mean) / std


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """An endless series of clips: number k of a run depends on its seed and k alone.

    easy: the number of clips over which scenes go from the easiest to all kinds (`draw_scene`).
    """

    def __init__(self, preprocessing: Preprocessing, seed: int, easy: int = 0) -> None:
        self.preprocessing, self.seed, self.easy = preprocessing, seed, easy
        self.seconds = frame_seconds(preprocessing)

    def __getitem__(self, k: int) -> tuple[Float32[Tensor, "t c H W"], int]:
        return self.__getitems__([k])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Several clips at once, which is faster."""
        scenes = [draw_scene(self.seed, k, self.seconds, self._ease(k)) for k in numbers]
        return make_clips(scenes, self.preprocessing)

    def _ease(self, k: int) -> float:
        return max(0.0, 1 - k / self.easy) if self.easy else 0.0


class EvaluationClips(Dataset[tuple[Tensor, int]]):
    """Scenes as clips of one view each."""

    def __init__(self, scenes: Sequence[Scene], preprocessing: Preprocessing) -> None:
        self.scenes, self.preprocessing = scenes, preprocessing

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, number: int) -> tuple[Float32[Tensor, "1 t c H W"], int]:
        [(clip, label)] = make_clips([self.scenes[number]], self.preprocessing)
        return clip[None], label


def fresh_clips(preprocessing: Preprocessing, count: int) -> EvaluationClips:
    """Generated clips that are not used in training."""
    seconds = frame_seconds(preprocessing)
    scenes = [draw_scene(0, number, seconds, stream=FRESH) for number in range(count)]
    return EvaluationClips(scenes, preprocessing)
