"""Choose the frames of a video that make a clip."""

from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64

TARGET_FPS = 30.0
"""Sampling rates count frames at this rate; for other videos they are scaled."""


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
    span = _span(total, fps, num_frames, sampling_rate)
    at_least_one(num_clips=num_clips)
    if not 0 <= clip < num_clips:
        raise ValueError(f"clip {clip} is not one of {num_clips}: use 0 to {num_clips - 1}")
    return _spread(total, max(total - span, 0) * clip / num_clips, span, num_frames)


class Windows(NamedTuple):
    """Clips along a whole video: start and end of each in seconds, and its frame numbers."""

    seconds: Float64[np.ndarray, "n 2"]
    indices: Int64[np.ndarray, "n t"]


def windows(
    total: int, fps: float, num_frames: int, sampling_rate: int, every: float | None = None
) -> Windows:
    """Clips like those of `frame_indices`, one after another, from a video's start to its end.

    every: seconds from the start of one window to the next, by default a window's own length, and
        never less than a frame. The last window ends with the video, so it overlaps the one before;
        a video shorter than a window has one. A video is `total` frames at `fps` a second.

    Raises ValueError where a number is impossible.
    """
    span = _span(total, fps, num_frames, sampling_rate)
    if every is not None and not (isfinite(every) and every > 0):
        raise ValueError(f"every {every} is impossible: use seconds above 0")
    last = max(total - span, 0)
    step = max(span if every is None else every * fps, 1)
    # a window that starts half a frame before the last would be the same one twice
    starts = np.append(np.arange(0, last - 0.5, step), last)
    seconds = np.stack([starts, np.minimum(starts + span, total)], axis=1) / fps
    indices = [_spread(total, float(start), span, num_frames) for start in starts]
    return Windows(seconds, np.stack(indices))


def _span(total: int, fps: float, num_frames: int, sampling_rate: int) -> float:
    """How many frames of a video a clip spans. Raises ValueError for an impossible number."""
    at_least_one(total=total, num_frames=num_frames, sampling_rate=sampling_rate)
    if not (isfinite(fps) and fps > 0):
        raise ValueError(f"fps {fps} is impossible: use a number above 0")
    return sampling_rate * num_frames / TARGET_FPS * fps


def _spread(total: int, start: float, span: float, num_frames: int) -> Int64[np.ndarray, " t"]:
    # torch's float32 spacing decides some roundings, and the published accuracies rest on it.
    positions = torch.linspace(start, start + span - 1, num_frames, dtype=torch.float32)
    indices: Int64[np.ndarray, " t"] = positions.clamp(0, total - 1).long().numpy()
    return indices


def segment_indices(total: int, num_frames: int) -> Int64[np.ndarray, " t"]:
    """The middle frame of each of `num_frames` equal segments (original `datasets/ssv2.py`, test).

    Segment bounds are rounded half to even, the middle is rounded down, and a video of fewer than
    `num_frames` frames repeats some of them. Raises ValueError where a number is below 1.
    """
    at_least_one(total=total, num_frames=num_frames)
    bounds = np.round((total - 1) / num_frames * np.arange(num_frames + 1)).astype(np.int64)
    return (bounds[:-1] + bounds[1:]) // 2


def at_least_one(**numbers: int) -> None:
    """Raise ValueError for a number below 1, by its name."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} {number} is impossible: use a whole number above 0")
