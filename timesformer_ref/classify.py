"""From a video file to the classes of a checkpoint, through one writing or both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.preprocessing import Preprocessing
from timesformer_ref.pretrained import TimeSformer
from timesformer_ref.variants import Variant, matching_variant
from timesformer_ref.video import Pixels, read_clip

Backend = Literal["torch", "numpy", "both"]
Average = Literal["logits", "softmax"]
Run = Callable[[Float[np.ndarray, "t c H W"]], Float[np.ndarray, " labels"]]
"""One writing, ready to turn a view into logits."""


class PreprocessingWarning(UserWarning):
    """Something about the input that no one told and that had to be assumed."""


def choose_preprocessing(
    checkpoint: Checkpoint,
    variant: Variant | None = None,
    asked: dict[str, Any] | None = None,
) -> Preprocessing:
    """How a checkpoint wants its input: as told, never in silence where it had to be guessed.

    In order of precedence: what is `asked` (fields of `Preprocessing`), the named variant, the
    checkpoint's own config, the published variant that its geometry matches, and last a rate of 32
    with the original's mean and std, under a PreprocessingWarning that says so. Frames and crop
    are the checkpoint's own unless a variant or `asked` says otherwise.
    Raises ValueError where the answers are impossible or do not fit together.
    """
    asked = asked or {}
    config = checkpoint.config
    if variant:
        return _changed(config, variant.preprocessing, asked)
    own = {"num_frames": config.num_frames, "crop": config.image_size, **checkpoint.preprocessing}
    if match := matching_variant(config):
        return _changed(config, match.preprocessing, own | asked)
    known = own | asked
    missing = [name for name in ("sampling_rate", "mean", "std") if name not in known]
    channels = config.num_channels
    default = Preprocessing(mean=(0.45,) * channels, std=(0.225,) * channels)
    chosen = _changed(config, default, known)
    if missing:
        told = {"sampling_rate": "rate 32", "mean": "mean 0.45", "std": "std 0.225"}
        warnings.warn(
            f"the checkpoint does not say how its input is made and matches no published variant: "
            f"assuming {chosen.num_frames} frames x {chosen.sampling_rate or 'segments'} "
            f"({', '.join(told[name] for name in missing)} by default); "
            "give --variant, --rate, --mean and --std",
            PreprocessingWarning,
            stacklevel=2,
        )
    return chosen


def _changed(
    config: TimeSformerConfig, base: Preprocessing, fields: Mapping[str, Any]
) -> Preprocessing:
    if fields.get("crop", base.crop) != base.crop:
        fields = {"single_crop_scale": None, **fields}  # it belongs to the other crop
    changed = replace(base, **fields)
    if len(changed.mean) != config.num_channels:
        raise ValueError(
            f"mean and std are for {len(changed.mean)} channels, the checkpoint takes "
            f"{config.num_channels}"
        )
    return changed


@dataclass(frozen=True)
class Prediction:
    """The answer for one video.

    frames: the indices sampled, a list a clip. logits: the mean over the views.
    max_difference: the largest difference of any logit of any view between the two writings.
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
    """The PyTorch writing on a checkpoint's weights."""
    model = TimeSformer.from_checkpoint(checkpoint, device=device, dtype=dtype)

    def run(view: Float[np.ndarray, "t c H W"]) -> Float[np.ndarray, " labels"]:
        with torch.inference_mode():
            logits = model(torch.from_numpy(view[None]).to(device, dtype)).logits[0]
        return logits.to("cpu", torch.float64).numpy()

    return run


def numpy_run(checkpoint: Checkpoint, dtype: type[np.floating[Any]]) -> Run:
    """The NumPy writing on a checkpoint's weights."""
    weights, config = checkpoint.arrays(dtype), checkpoint.config

    def run(view: Float[np.ndarray, "t c H W"]) -> Float[np.ndarray, " labels"]:
        return forward(view[None].astype(dtype), weights, config).logits[0].astype(np.float64)

    return run


class Classifier:
    """A checkpoint made ready once, for any number of videos.

    device, dtype: of the PyTorch writing; NumPy computes in float32, or in float64 where asked.
    average: of the views' logits, as the original does, or of their softmax, as the paper says.
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
        num_crops: int = 3,
        pixels: Pixels = "stored",
        progress: Callable[[], None] = lambda: None,
    ) -> Prediction:
        """Classify one video; `progress` is called after every view of every writing.

        Raises VideoError (see `read_clip`), ValueError where the arithmetic overflows.
        """
        clip = read_clip(
            video, self.preprocessing, num_clips=num_clips, num_crops=num_crops, pixels=pixels
        )
        logits = []
        for run in self.runs:
            per_view = []
            for view in clip.video:
                per_view.append(run(view))
                progress()
            logits.append(np.stack(per_view))
        if not np.isfinite(logits).all():
            raise ValueError(f"{video}: logits are not finite: use an arithmetic of a wider range")
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
