"""Two questions about the same clips: what is seen, and how the camera moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float32
from torch import Tensor
from torch.utils.data import Dataset

from timesformer_ref.camera_motion.clips import frame_seconds, make_clips
from timesformer_ref.camera_motion.moves import LABELS
from timesformer_ref.camera_motion.scenes import draw_scene
from timesformer_ref.camera_motion.textures import SHAPES, clouds, shapes
from timesformer_ref.preprocessing import Preprocessing

Task = Literal["appearance", "motion"]

APPEARANCES = (*SHAPES, "soft clouds", "grainy clouds")
"""What a clip may show; one frame is enough to tell."""
CLASSES: dict[Task, tuple[str, ...]] = {"appearance": APPEARANCES, "motion": LABELS}
"""The labels of each task; those of motion are told by the order of the frames alone."""
EASE = 1.0
"""Coarse pictures, a fast steady camera, nothing that disturbs (`draw_scene`): small models learn
it within minutes."""


class TaskClips(Dataset[tuple[Tensor, int]]):
    """Clip number k of a seed, with its label in one of the tasks."""

    def __init__(self, task: Task, preprocessing: Preprocessing, seed: int) -> None:
        self.task, self.preprocessing, self.seed = task, preprocessing, seed
        self.seconds = frame_seconds(preprocessing)

    def __getitem__(self, k: int) -> tuple[Float32[Tensor, "t c H W"], int]:
        return self.__getitems__([k])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Many at once, which is faster."""
        scenes, appearances = [], []
        for k in numbers:
            rng = np.random.default_rng([self.seed, k, 1])
            appearances.append(int(rng.integers(len(APPEARANCES))))
            scene = draw_scene(self.seed, k, self.seconds, EASE)
            scenes.append(replace(scene, picture=_picture(rng, APPEARANCES[appearances[-1]])))
        clips = make_clips(scenes, self.preprocessing)
        if self.task == "motion":
            return clips
        return [(clip, seen) for (clip, _), seen in zip(clips, appearances, strict=True)]


def _picture(rng: np.random.Generator, appearance: str) -> Float32[np.ndarray, "3 h w"]:
    if appearance in SHAPES:
        return shapes(rng, EASE, (appearance,))
    return clouds(rng, EASE if appearance == "soft clouds" else 0.2)


class TaskViews(TaskClips):
    """The same to be evaluated on: so many clips, each as one view."""

    def __init__(self, task: Task, preprocessing: Preprocessing, seed: int, count: int) -> None:
        super().__init__(task, preprocessing, seed)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Many at once, each with an axis for its views."""
        return [(clip[None], label) for clip, label in super().__getitems__(numbers)]
