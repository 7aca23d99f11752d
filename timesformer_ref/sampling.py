"""Which frames of a video make a clip."""

from __future__ import annotations

from math import isfinite

import numpy as np
import torch
from jaxtyping import Int64

TARGET_FPS = 30.0
"""Sampling rates count frames of a video at this speed; other videos are stretched to it."""


def frame_indices(
    total: int, fps: float, num_frames: int, sampling_rate: int, clip: int = 0, num_clips: int = 1
) -> Int64[np.ndarray, " t"]:
    """`num_frames` evenly spaced frames of clip number `clip` (original `datasets/decoder.py`).

    A clip lasts `num_frames * sampling_rate` frames of a video at 30 per second, so at `fps` frames
    per second it spans another number of frames. Of `num_clips` clips the first starts at frame 0
    and the last ends before the video does (the paper, at the opening of section 4, takes the
    middle clip instead).
    Where the video of `total` frames is too short, its last frame is repeated.

    Raises ValueError where no frame can be chosen so.
    """
    _at_least_one(total=total, num_frames=num_frames, sampling_rate=sampling_rate)
    _at_least_one(num_clips=num_clips)
    if not (isfinite(fps) and fps > 0):
        raise ValueError(f"fps {fps} is impossible: use a number above 0")
    if not 0 <= clip < num_clips:
        raise ValueError(f"clip {clip} is not one of {num_clips}: use 0 to {num_clips - 1}")
    span = sampling_rate * num_frames / TARGET_FPS * fps
    start = max(total - span, 0) * clip / num_clips
    # torch's float32 spacing decides some roundings, and the published accuracies rest on it.
    positions = torch.linspace(start, start + span - 1, num_frames, dtype=torch.float32)
    indices: Int64[np.ndarray, " t"] = positions.clamp(0, total - 1).long().numpy()
    return indices


def segment_indices(total: int, num_frames: int) -> Int64[np.ndarray, " t"]:
    """The middle frame of each of `num_frames` equal segments (original `datasets/ssv2.py`, test).

    Segment bounds are rounded half to even, the middle is rounded down, and a video of fewer than
    `num_frames` frames repeats some of them. Raises ValueError where a number is below 1.
    """
    _at_least_one(total=total, num_frames=num_frames)
    bounds = np.round((total - 1) / num_frames * np.arange(num_frames + 1)).astype(np.int64)
    return (bounds[:-1] + bounds[1:]) // 2


def _at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} {number} is impossible: use a whole number above 0")
