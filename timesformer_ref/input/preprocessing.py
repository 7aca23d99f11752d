"""The parameters of sampling, cropping and normalisation that turn a video into a clip."""

from dataclasses import dataclass
from typing import Literal

from timesformer_ref.config import COUNT, FLAG, Rule, check_fields, check_size

ChannelOrder = Literal["rgb", "bgr"]

Pixels = Literal["stored", "display"]
"""Frames as they are stored in the file, or as a viewer shows them."""


def _are_numbers(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(
        type(number) in (int, float) and abs(number) < 1e30 for number in value
    )  # fmt: skip


COUNT_OR_NONE: Rule = (lambda v: v is None or COUNT[0](v), "a whole number above 0, or None")
RULES: dict[str, Rule] = {
    "num_frames": COUNT,
    "sampling_rate": COUNT_OR_NONE,
    "crop": COUNT,
    "single_crop_scale": COUNT_OR_NONE,
    "mean": (_are_numbers, "numbers, one per channel"),
    "std": (lambda v: _are_numbers(v) and min(v) > 0, "numbers above 0, one per channel"),
    "channel_order": (lambda v: v in ("rgb", "bgr"), "rgb or bgr"),
    "num_crops": (lambda v: type(v) is int and v in (1, 3), "3, or 1 for the centre"),
    "antialias": FLAG,
    "pixels": (lambda v: v in ("stored", "display"), "stored or display"),
}
"""For each field of `Preprocessing`, what is possible; files are checked by it, too."""


@dataclass(frozen=True)
class Preprocessing:
    """The input that a checkpoint expects (original configs, `DATA` and `TEST`).

    num_frames: frames of a clip.
    sampling_rate: a clip spans `num_frames` times this many frames of a video at 30 per second;
        None takes one frame from each of `num_frames` equal segments of the video
        (Something-Something style).
    crop: height and width of a crop, pixels.
    single_crop_scale: the shorter side of a frame, pixels, when one central crop is taken; with
        three crops it is `crop`. None for the original's proportion, 256 for a crop of 224.
    mean, std: `mean` is subtracted from pixels in [0, 1], `std` divides; one number per channel.
    channel_order: `rgb`, or `bgr` for weights that were trained on frames read by OpenCV.
    num_crops: how many crops of a frame are taken by default, 3 or 1.
    antialias: whether frames are averaged as they shrink, as suits a small crop of a large video;
        the published checkpoints expect the original's resize, which is without.
    pixels: how video files are read (see `read_clip`).

    Raises ValueError, which names the value and what would be right.
    """

    num_frames: int = 8
    sampling_rate: int | None = 32
    crop: int = 224
    single_crop_scale: int | None = None
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    channel_order: ChannelOrder = "rgb"
    num_crops: int = 3
    antialias: bool = False
    pixels: Pixels = "stored"

    def __post_init__(self) -> None:
        check_fields(self, RULES)
        if self.single_crop_scale is not None and self.single_crop_scale < self.crop:
            raise ValueError(
                f"single_crop_scale {self.single_crop_scale} is smaller than the crop {self.crop}"
            )
        check_size(self.num_frames, self.scale(1))
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} numbers, std {len(self.std)}: give both one per channel"
            )

    def scale(self, num_crops: int) -> int:
        """The length, in pixels, to which the shorter side of a frame is resized."""
        if num_crops > 1:
            return self.crop
        return self.single_crop_scale or round(self.crop * 256 / 224)
