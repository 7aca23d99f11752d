"""How a video becomes a clip: the numbers that sampling, crops and normalisation need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ChannelOrder = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class Preprocessing:
    """What a checkpoint expects of its input (original configs, `DATA` and `TEST`).

    num_frames: frames of a clip.
    sampling_rate: distance of two sampled frames, in frames of a video at 30 per second; None takes
        one frame from each of `num_frames` equal segments of the video (Something-Something style).
    crop: height and width of a crop, pixels.
    single_crop_scale: the shorter side of a frame, pixels, when one central crop is taken; with
        three crops it is `crop`. None for the original's proportion, 256 for a crop of 224.
    mean, std: subtracted from and divided into pixels in [0, 1], one number a channel.
    channel_order: `rgb`, or `bgr` for weights that were trained on frames read by OpenCV.

    Raises ValueError, which names the value and what would be right.
    """

    num_frames: int = 8
    sampling_rate: int | None = 32
    crop: int = 224
    single_crop_scale: int | None = None
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    channel_order: ChannelOrder = "rgb"

    def __post_init__(self) -> None:
        for name in ("num_frames", "sampling_rate", "crop", "single_crop_scale"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} is impossible: use a whole number above 0")
        if self.single_crop_scale is not None and self.single_crop_scale < self.crop:
            raise ValueError(
                f"single_crop_scale {self.single_crop_scale} is smaller than the crop {self.crop}"
            )
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order {self.channel_order!r} is unknown: use rgb or bgr")
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} numbers, std {len(self.std)}: give both one a channel"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std} is impossible: use numbers above 0")

    def scale(self, num_crops: int) -> int:
        """The length, in pixels, to which the shorter side of a frame is resized."""
        if num_crops > 1:
            return self.crop
        return self.single_crop_scale or round(self.crop * 256 / 224)
