"""Classify a video file with one implementation or both."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.video import Clip, read_clip
from timesformer_ref.numpy_blocks.layers import softmax
from timesformer_ref.use.implementations import Name, implementation

Backend = Literal["torch", "numpy", "both"]
Average = Literal["logits", "softmax"]
Progress = Callable[[float], None]
"""Called after each part of the work with its size; the sizes of all parts add up to 1."""


class LogitsError(Exception):
    """Logits that are not finite; the message names the video."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one video, or for one window of it.

    frames: the indices sampled, one list per clip. logits: the mean over the views.
    max_difference: the largest difference of any logit of any view between the two implementations.
    """

    video: str
    frames: list[list[int]]
    views: int
    backend: Backend
    logits: Float[np.ndarray, " labels"]
    probabilities: Float[np.ndarray, " labels"]
    max_difference: float | None = None

    def top(self, count: int) -> list[int]:
        """The most probable classes, best first."""
        return [int(i) for i in np.argsort(-self.probabilities, kind="stable")[:count]]


class Classifier:
    """A checkpoint, loaded once to classify any number of videos.

    device, dtype: of the PyTorch implementation; NumPy computes in float64 if that is the dtype,
        else in float32.
    average: of the views' logits, which rank as the original's sum, or of their softmax (paper).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        preprocessing: Preprocessing,
        *,
        backend: Backend = "torch",
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        average: Average = "logits",
    ) -> None:
        self.preprocessing = preprocessing
        self.backend: Backend = backend
        self.average = average
        names: list[Name] = ["torch", "numpy"] if backend == "both" else [backend]
        self.runs = [implementation(name, checkpoint, device, dtype) for name in names]

    def __call__(
        self, video: str | PathLike[str], *, num_clips: int = 1, progress: Progress = lambda _: None
    ) -> Prediction:
        """Classify one video; `progress` is called after every view of every implementation.

        Raises VideoError (see `read_clip`), and LogitsError where the arithmetic overflows.
        """
        return self.predict(video, self.read(video, num_clips), progress)

    def read(self, video: str | PathLike[str], num_clips: int = 1) -> Clip:
        """The views that `predict` takes. Raises VideoError (see `read_clip`)."""
        return read_clip(video, self.preprocessing, num_clips=num_clips)

    def predict(
        self, video: str | PathLike[str], clip: Clip, progress: Progress = lambda _: None
    ) -> Prediction:
        """The prediction from the mean over a clip's views; `video` and `progress` as above.

        Raises LogitsError where the arithmetic overflows.
        """
        logits = []
        for run in self.runs:
            per_view = []
            for view in clip.video:
                per_view.append(run(view).logits[0].astype(np.float64))
                progress(1 / len(self.runs) / len(clip.video))
            logits.append(np.stack(per_view))
        if not np.isfinite(logits).all():
            raise LogitsError(f"{video}: logits are not finite: use an arithmetic of a wider range")
        views = logits[0]
        mean = views.mean(axis=0)
        by_view = self.average == "softmax"
        probabilities = softmax(views).mean(axis=0) if by_view else softmax(mean)
        difference = float(np.abs(logits[0] - logits[-1]).max()) if len(logits) > 1 else None
        return Prediction(
            str(video), clip.frames, len(views), self.backend, mean, probabilities, difference
        )
