"""Which patches of a clip the class token attends to, and the clip's frames for people to see."""

import warnings
from dataclasses import replace
from os import PathLike
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Float

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.decoding import VideoWarning
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.video import read_clip
from timesformer_ref.use.implementations import Implementation
from timesformer_ref.use.rollout import frame_attention, rollout

SHOWN_SIDE = 240
"""Least height and width of a shown frame, roughly, in pixels; tiny models take far fewer."""


class ClipAttention(NamedTuple):
    """The attention in one view, and its logits.

    patches: each patch's share of the class token's last state (`rollout`).
    frames: for each block, by name the steps whose groups span frames: how much a patch of one
        frame (row) attends to those of another (column).
    """

    logits: Float[np.ndarray, " labels"]
    patches: Float[np.ndarray, "t h w"]
    frames: list[dict[str, Float[np.ndarray, "t t"]]]

    @property
    def frame_shares(self) -> Float[np.ndarray, " t"]:
        """Each frame's share of all that comes from patches; they sum to 1."""
        return self.patches.sum(axis=(1, 2)) / self.patches.sum()


def attend(
    config: TimeSformerConfig, view: Float[np.ndarray, "t c H W"], run: Implementation
) -> ClipAttention:
    """Follow the class token's attention through all blocks, back to the patches of a view.

    run: one implementation (see `implementations`), with `output_attentions`.
    Raises ValueError for a view that the model cannot take.
    """
    grid = config.clip_grid((1, *view.shape))
    output = run(view)
    attentions = output.attentions or ()
    blocks = frame_attention(attentions, config, grid)
    frames = [{step: matrix[0] for step, matrix in block.items()} for block in blocks]
    return ClipAttention(output.logits[0], rollout(attentions, config, grid)[0], frames)


def read_shown_frames(
    path: str | PathLike[str], preprocessing: Preprocessing, patch_size: int
) -> Float[np.ndarray, "t H W c"]:
    """The frames of a video's one clip and central crop, in colours of 0 to 1, large enough to see.

    They show what the model takes, cut to whole patches, with a multiple of its pixels.
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
        video = read_clip(path, sharp, num_crops=1).video
    whole = times * (crop // patch_size * patch_size)
    return rearrange(video[0, ..., :whole, :whole], "t c H W -> t H W c")
