"""Generated clips as data to train on and to be evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor
from torch.utils.data import Dataset

from timesformer_ref.camera_motion.moves import LABELS, MIRRORED, OPPOSITE
from timesformer_ref.camera_motion.photographs import photograph_scenes
from timesformer_ref.camera_motion.render import render
from timesformer_ref.camera_motion.scenes import Scene, draw_scene
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import TARGET_FPS
from timesformer_ref.training.chance import FRESH

AT_ONCE = 16
"""Scenes rendered together: few enough for a processor's cache."""


def frame_seconds(preprocessing: Preprocessing) -> Float[np.ndarray, " t"]:
    """When a clip's frames are taken from a video, in seconds from the middle of the clip."""
    frames, rate = preprocessing.num_frames, preprocessing.sampling_rate or 1
    span = (frames * rate - 1) / TARGET_FPS
    return np.linspace(-span / 2, span / 2, frames)


def make_clips(
    scenes: Sequence[Scene], preprocessing: Preprocessing
) -> list[tuple[Float32[Tensor, "t c H W"], int]]:
    """Scenes to normalised clips with their labels. Their pictures must have one shape."""
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
    """Pixels in [0, 1] as the model expects them."""
    mean, std = (
        rearrange(torch.tensor(numbers), "c -> c 1 1")
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return (clips - mean) / std


class TrainingClips(Dataset[tuple[Tensor, int]]):
    """Camera moves without end: clip number k of a run rests on its seed and k alone.

    easy: over so many clips the scenes go from the easiest to all that may occur (`draw_scene`).
    """

    def __init__(self, preprocessing: Preprocessing, seed: int, easy: int = 0) -> None:
        self.preprocessing, self.seed, self.easy = preprocessing, seed, easy
        self.seconds = frame_seconds(preprocessing)

    def __getitem__(self, k: int) -> tuple[Float32[Tensor, "t c H W"], int]:
        return self.__getitems__([k])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Many at once, which is faster."""
        scenes = [draw_scene(self.seed, k, self.seconds, self._ease(k)) for k in numbers]
        return make_clips(scenes, self.preprocessing)

    def _ease(self, k: int) -> float:
        return max(0.0, 1 - k / self.easy) if self.easy else 0.0


class EvaluationClips(Dataset[tuple[Tensor, int]]):
    """So many scenes, each as one view, forwards or in a way that changes the moves.

    shown: a name from `SHOWN`.
    """

    def __init__(
        self, scenes: Sequence[Scene], preprocessing: Preprocessing, shown: str = "forwards"
    ) -> None:
        self.scenes, self.preprocessing, self.shown = scenes, preprocessing, shown

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, number: int) -> tuple[Float32[Tensor, "1 t c H W"], int]:
        [(clip, label)] = make_clips([self.scenes[number]], self.preprocessing)
        turned, becomes = SHOWN[self.shown]
        return clip.flip(turned)[None], LABELS.index(becomes[LABELS[label]])


SHOWN: dict[str, tuple[tuple[int, ...], Mapping[str, str]]] = {
    "forwards": ((), {move: move for move in LABELS}),
    "backwards": ((0,), OPPOSITE),
    "mirrored": ((3,), MIRRORED),
}
"""Along which axes a clip is turned around, and what becomes of its move."""


def fresh_clips(
    preprocessing: Preprocessing, count: int = 2000, shown: str = "forwards"
) -> EvaluationClips:
    """Generated clips that no model was trained on."""
    seconds = frame_seconds(preprocessing)
    scenes = [draw_scene(0, number, seconds, stream=FRESH) for number in range(count)]
    return EvaluationClips(scenes, preprocessing, shown)


def photograph_clips(
    preprocessing: Preprocessing, speeds: int = 10, shown: str = "forwards"
) -> EvaluationClips:
    """Known camera moves over real photographs (see `photograph_scenes`)."""
    scenes = photograph_scenes(frame_seconds(preprocessing), speeds)
    return EvaluationClips(scenes, preprocessing, shown)
