"""From a video file to the classes of a checkpoint, through one implementation or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.display import Pixels
from timesformer_ref.inference.pack import fastest
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.preprocessing import Preprocessing
from timesformer_ref.pretrained import TimeSformer
from timesformer_ref.video import Clip, read_clip

Backend = Literal["torch", "numpy", "both"]
Average = Literal["logits", "softmax"]
Run = Callable[[Float[np.ndarray, "t c H W"]], Float[np.ndarray, " labels"]]
"""One implementation, ready to turn a view into logits."""
Progress = Callable[[float], None]
"""Told after each part of the work how large a part it was; all of them add up to 1."""


class LogitsError(Exception):
    """An answer that is no answer: names the video."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one video, or for one window of it.

    frames: the indices sampled, a list a clip. logits: the mean over the views.
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


def torch_run(checkpoint: Checkpoint, device: str, dtype: torch.dtype) -> Run:
    """The PyTorch implementation on a checkpoint's weights, in its fastest form."""
    model = fastest(TimeSformer.from_checkpoint(checkpoint, device=device, dtype=dtype))

    def run(view: Float[np.ndarray, "t c H W"]) -> Float[np.ndarray, " labels"]:
        with torch.inference_mode():
            logits = model(torch.from_numpy(view[None]).to(device, dtype)).logits[0]
        return logits.to("cpu", torch.float64).numpy()

    return run


def numpy_run(checkpoint: Checkpoint, dtype: type[np.floating[Any]]) -> Run:
    """The NumPy implementation on a checkpoint's weights."""
    weights, config = checkpoint.arrays(dtype), checkpoint.config

    def run(view: Float[np.ndarray, "t c H W"]) -> Float[np.ndarray, " labels"]:
        return forward(view[None].astype(dtype), weights, config).logits[0].astype(np.float64)

    return run


class Classifier:
    """A checkpoint made ready once, for any number of videos.

    device, dtype: of the PyTorch implementation; NumPy computes in float64 where that is asked,
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
        array_type = np.float64 if dtype == torch.float64 else np.float32
        self.runs: list[Run] = []
        if backend != "numpy":
            self.runs.append(torch_run(checkpoint, device, dtype))
        if backend != "torch":
            self.runs.append(numpy_run(checkpoint, array_type))

    def __call__(
        self,
        video: str | PathLike[str],
        *,
        num_clips: int = 1,
        pixels: Pixels = "stored",
        progress: Progress = lambda _: None,
    ) -> Prediction:
        """Classify one video; `progress` is called after every view of every implementation.

        Raises VideoError (see `read_clip`), and LogitsError where the arithmetic overflows.
        """
        return self.predict(video, self.read(video, num_clips, pixels), progress)

    def read(
        self, video: str | PathLike[str], num_clips: int = 1, pixels: Pixels = "stored"
    ) -> Clip:
        """The views that `predict` takes. Raises VideoError (see `read_clip`)."""
        return read_clip(video, self.preprocessing, num_clips=num_clips, pixels=pixels)

    def predict(
        self,
        video: str | PathLike[str],
        clip: Clip,
        progress: Progress = lambda _: None,
    ) -> Prediction:
        """What the views of a clip say together; `video` and `progress` as above.

        Raises LogitsError where the arithmetic overflows.
        """
        logits = []
        for run in self.runs:
            per_view = []
            for view in clip.video:
                per_view.append(run(view))
                progress(1 / len(self.runs) / len(clip.video))
            logits.append(np.stack(per_view))
        if not np.isfinite(logits).all():
            raise LogitsError(f"{video}: logits are not finite: use an arithmetic of a wider range")
        views = logits[0]
        probabilities = (
            softmax(views.mean(axis=0))
            if self.average == "logits"
            else softmax(views, axis=1).mean(axis=0)
        )
        difference = float(np.abs(logits[0] - logits[-1]).max()) if len(logits) > 1 else None
        return Prediction(
            video=str(video),
            frames=clip.frames,
            views=len(views),
            backend=self.backend,
            logits=views.mean(axis=0),
            probabilities=probabilities,
            max_difference=difference,
        )
