"""Normalise, resize and crop frames to views."""

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch.nn.functional import interpolate

from timesformer_ref.input.preprocessing import ChannelOrder


def crops(
    frames: UInt8[np.ndarray, "t H W c"],
    scale: int,
    crop: int,
    *,
    num_crops: int = 3,
    mean: Sequence[float] = (0.45, 0.45, 0.45),
    std: Sequence[float] = (0.225, 0.225, 0.225),
    channel_order: ChannelOrder = "rgb",
    antialias: bool = False,
) -> Float32[np.ndarray, "v t c crop crop"]:
    """`num_crops` square views of the same frames (original `spatial_sampling`).

    frames: pixels of 0 to 255, channels RGB, or a single grey one.
    scale: length in pixels to which the shorter side is resized; crop: side of a view, in pixels.
    num_crops: 3 takes left, centre and right, or top, centre and bottom of an upright frame (the
        paper, at the opening of section 4, names the corners instead); 1 takes the centre.
    mean, std, channel_order, antialias: as in `Preprocessing`; `bgr` turns the channels around
        before they are normalised, so mean and std are in the order that the views have.

    Pixels are normalised first and resized then, so that values are not rounded to bytes between;
    one frame at a time, so that only one is ever held as floats at full size.
    Raises ValueError where a crop does not fit, or channels and numbers do not match.
    """
    *_, height, width, channels = frames.shape
    if not channels == len(mean) == len(std):
        raise ValueError(
            f"frames have {channels} channels, mean {len(mean)} numbers and std {len(std)}: "
            "give one number per channel to both"
        )
    size = _resized(height, width, scale)
    corners = _corners(*size, crop, num_crops)
    views = np.empty((num_crops, len(frames), channels, crop, crop), np.float32)
    for t, frame in enumerate(frames):
        if channel_order == "bgr":
            frame = frame[..., ::-1]
        small = _resize(_normalise(frame, mean, std), size, antialias)
        for v, (y, x) in enumerate(corners):
            views[v, t] = small[:, y : y + crop, x : x + crop]
    return views


def _normalise(
    frame: UInt8[np.ndarray, "H W c"], mean: Sequence[float], std: Sequence[float]
) -> Float32[torch.Tensor, "c H W"]:
    pixels = torch.from_numpy(np.array(frame, np.float32)).div_(255)
    return rearrange(pixels.sub_(torch.tensor(mean)).div_(torch.tensor(std)), "h w c -> c h w")


def _resize(
    frame: Float32[torch.Tensor, "c H W"], size: tuple[int, int], antialias: bool
) -> Float32[np.ndarray, "c h w"]:
    if frame.shape[1:] == size:
        return frame.numpy()
    batch = interpolate(
        frame[None], size, mode="bilinear", align_corners=False, antialias=antialias
    )
    return batch[0].numpy()


def _resized(height: int, width: int, scale: int) -> tuple[int, int]:
    """Height and width once the shorter side is `scale`; the longer one is rounded down."""
    if min(height, width) == scale:
        return height, width
    if width < height:
        return floor(height / width * scale), scale
    return scale, floor(width / height * scale)


def _corners(height: int, width: int, crop: int, num_crops: int) -> list[tuple[int, int]]:
    """Top left corners (y, x) of the views, along the longer side."""
    down, right = height - crop, width - crop
    if min(down, right) < 0:
        raise ValueError(
            f"a crop of {crop} does not fit in a frame resized to {height} x {width}: "
            f"use a scale of at least {crop}"
        )
    centre = (ceil(down / 2), ceil(right / 2))
    if num_crops == 1:
        return [centre]
    if num_crops != 3:
        raise ValueError(f"num_crops {num_crops} is unknown: use 3, or 1 for the centre")
    if height > width:
        return [(0, centre[1]), centre, (down, centre[1])]
    return [(centre[0], 0), centre, (centre[0], right)]
