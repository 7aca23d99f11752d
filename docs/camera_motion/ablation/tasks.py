"""Two tasks on the same clips: appearance, and how the camera moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from docs.camera_motion.clips import AT_ONCE, frame_seconds, normalise
from docs.camera_motion.moves import LABELS
from docs.camera_motion.render import render
from docs.camera_motion.scenes import Scene, draw_scene
from docs.camera_motion.textures import SHAPES, clouds, shapes
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.training.chance import generator

Task = Literal["motion", "appearance"]

APPEARANCES = (*SHAPES, "soft clouds", "grainy clouds")
"""The kinds of picture; one frame is enough to recognise them."""
CLASSES: dict[Task, tuple[str, ...]] = {"motion": LABELS, "appearance": APPEARANCES}
"""The labels of each task; those of motion differ in the order of the frames only."""
EASE = 1.0
"""Coarse pictures, a fast steady camera, no objects or noise (`draw_scene`): small models learn it
within minutes."""


@dataclass(frozen=True)
class Clips:
    """Clips as bytes, with the labels of both tasks; small enough to stay in memory."""

    video: UInt8[Tensor, "n t c H W"]
    answers: dict[Task, Int64[Tensor, " n"]]


def make_clips(
    preprocessing: Preprocessing,
    seed: int,
    count: int,
    workers: int = 0,
    progress: Callable[[float], None] = lambda part: None,
) -> Clips:
    """Make the first clips of a seed. progress: called with the part that is done."""
    shots = _Shots(preprocessing, seed, count)
    video = torch.empty(0)
    answers: dict[Task, Tensor] = {task: torch.empty(count, dtype=torch.long) for task in CLASSES}
    done = 0
    for part, motion, appearance in DataLoader(shots, batch_size=None, num_workers=workers):
        if not done:
            video = torch.empty((count, *part.shape[1:]), dtype=torch.uint8)
        here = slice(done, done + len(part))
        video[here], answers["motion"][here], answers["appearance"][here] = part, motion, appearance
        done += len(part)
        progress(done / count)
    return Clips(video, answers)


class _Shots(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Clips in small batches, with their moves and their appearances."""

    def __init__(self, preprocessing: Preprocessing, seed: int, count: int) -> None:
        self.preprocessing, self.seed, self.count = preprocessing, seed, count
        self.seconds = frame_seconds(preprocessing)

    def __len__(self) -> int:
        return -(-self.count // AT_ONCE)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        if number >= len(self):
            raise IndexError(number)
        scenes, seen = zip(
            *map(self._draw, range(number * AT_ONCE, min((number + 1) * AT_ONCE, self.count))),
            strict=True,
        )
        frames = render(scenes, self.preprocessing.crop).mul_(255).round_().byte()
        return frames, torch.tensor([scene.label for scene in scenes]), torch.tensor(seen)

    def _draw(self, k: int) -> tuple[Scene, int]:
        rng = generator(self.seed, k, 1)
        seen = int(rng.integers(len(APPEARANCES)))
        scene = draw_scene(self.seed, k, self.seconds, EASE)
        return replace(scene, picture=_picture(rng, APPEARANCES[seen])), seen


def _picture(rng: np.random.Generator, appearance: str) -> Float32[np.ndarray, "3 h w"]:
    if appearance in SHAPES:
        return shapes(rng, EASE, (appearance,))
    return clouds(rng, EASE if appearance == "soft clouds" else 0.2)


class TaskClips(Dataset[tuple[Tensor, int]]):
    """The clips and labels of one task. views: return each clip as one view, for evaluation."""

    def __init__(
        self, clips: Clips, task: Task, preprocessing: Preprocessing, views: bool = False
    ) -> None:
        self.clips, self.task, self.preprocessing, self.views = clips, task, preprocessing, views

    def __len__(self) -> int:
        return len(self.clips.video)

    def __getitem__(self, k: int) -> tuple[Tensor, int]:
        return self.__getitems__([k])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Several clips at once, which is faster."""
        video = normalise(self.clips.video[list(numbers)].float() / 255, self.preprocessing)
        clips = video[:, None] if self.views else video
        return list(zip(clips, self.clips.answers[self.task][list(numbers)].tolist(), strict=True))
