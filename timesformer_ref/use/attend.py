"""What a model looks at in a clip, and the frames of that clip as a person sees them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.decoding import VideoWarning
from timesformer_ref.input.display import Pixels
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.video import read_clip
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.use.rollout import frame_attention, rollout

Attentions = Sequence[Mapping[str, Float[np.ndarray, "g a m m"]]]
Run = Callable[[Float[np.ndarray, "t c H W"]], tuple[Float[np.ndarray, " labels"], Attentions]]
"""One implementation, ready to turn a view into logits and the attention weights of every step."""

SHOWN_SIDE = 240
"""About how many pixels a frame is shown with, at least; tiny models see far fewer."""


class Look(NamedTuple):
    """What a model looked at in a view, and what it answered.

    patches: how much of the class token's answer comes from each patch (`rollout`).
    frames: for each block, the steps that look across frames by name: how much a patch of one frame
        (row) looks at those of another (column).
    """

    logits: Float[np.ndarray, " labels"]
    patches: Float[np.ndarray, "t h w"]
    frames: list[dict[str, Float[np.ndarray, "t t"]]]

    @property
    def frame_shares(self) -> Float[np.ndarray, " t"]:
        """What each frame's patches have of all that comes from patches."""
        return self.patches.sum(axis=(1, 2)) / self.patches.sum()


def attend(config: TimeSformerConfig, view: Float[np.ndarray, "t c H W"], run: Run) -> Look:
    """Follow the class token's attention through all blocks, back to the patches of a view.

    run: one implementation, `torch_attentions` or `numpy_attentions`.
    Raises ValueError for a view that the model cannot take.
    """
    grid = config.clip_grid((1, *view.shape))
    logits, attentions = run(view)
    frames = [
        {step: matrix[0] for step, matrix in block.items()}
        for block in frame_attention(attentions, config, grid)
    ]
    return Look(logits, rollout(attentions, config, grid)[0], frames)


def torch_attentions(checkpoint: Checkpoint, device: str) -> Run:
    """The PyTorch implementation on a checkpoint's weights."""
    model = TimeSformer.from_checkpoint(checkpoint, device=device)

    def run(view: Float[np.ndarray, "t c H W"]) -> tuple[np.ndarray, Attentions]:
        with torch.inference_mode():
            output = model(torch.from_numpy(view[None]).to(device), output_attentions=True)
        return output.logits[0].cpu().numpy(), [
            {step: weights.cpu().numpy() for step, weights in block.items()}
            for block in output.attentions
        ]

    return run


def numpy_attentions(checkpoint: Checkpoint) -> Run:
    """The NumPy implementation on a checkpoint's weights."""
    weights, config = checkpoint.arrays(), checkpoint.config

    def run(view: Float[np.ndarray, "t c H W"]) -> tuple[np.ndarray, Attentions]:
        output = forward(view[None], weights, config, output_attentions=True)
        return output.logits[0], output.attentions or ()

    return run


def read_shown_frames(
    path: str | PathLike[str],
    preprocessing: Preprocessing,
    patch_size: int,
    pixels: Pixels = "stored",
) -> Float[np.ndarray, "t H W c"]:
    """The frames of a video's one clip and central crop in colours of 0 to 1, sharp enough to see.

    They are what the model sees, cut to whole patches, with a multiple of its pixels.
    Raises VideoError and ValueError as `read_clip` does.
    """
    crop, channels = preprocessing.crop, len(preprocessing.mean)
    times = max(round(SHOWN_SIDE / crop), 1)
    sharp = replace(
        preprocessing,
        crop=times * crop,
        single_crop_scale=times * preprocessing.scale(num_crops=1),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channel_order="rgb",
    )
    with warnings.catch_warnings(action="ignore", category=VideoWarning):  # the model's clip warned
        video = read_clip(path, sharp, num_crops=1, pixels=pixels).video
    whole = times * (crop // patch_size * patch_size)
    return rearrange(video[0, ..., :whole, :whole], "t c H W -> t H W c")


def check_target(target: Path) -> None:
    """Raises ValueError for a name under which a picture cannot be written."""
    if target.suffix not in (".png", ".gif"):
        raise ValueError(f"{target}: attention is drawn as .png or, one frame at a time, as .gif")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder, expected the name of a file")
