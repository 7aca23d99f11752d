"""Frames of a video as a viewer shows them, and as they are stored."""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple, cast

import av
import numpy as np
from jaxtyping import UInt8

from timesformer_ref.input.preprocessing import Pixels

PIXEL_FORMATS = {1: "gray", 3: "rgb24"}
"""PyAV's pixel format by the model's number of channels."""


class Display(NamedTuple):
    """How a viewer shows a stored picture: with pixels made square, then turned in these steps.

    aspect: width over height of a stored pixel.
    """

    aspect: Fraction
    swap_axes: bool = False
    upside_down: bool = False
    left_to_right: bool = False


THUMBNAIL_SIZE = 160
"""The longer side of a window's picture, pixels."""


def read_display(stream: av.VideoStream, frame: av.VideoFrame) -> Display:
    """Read pixel aspect and display matrix, which are the same for all frames of the stream.

    The matrix shows a stored point (x, y), y down, at (a x + c y, b x + d y). Read from every
    frame, it would keep each in memory: PyAV's frame and its side data reference each other.
    """
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not 1 / 16 <= aspect <= 16:  # junk
        aspect = Fraction(1)
    # PyAV's own annotation knows one kind of side data only.
    side_data = cast("Mapping[str, bytes]", frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return Display(aspect)
    a, b, _, c, d, *_ = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32).tolist()
    if abs(b) > abs(a):
        return Display(aspect, True, b < 0, c < 0)
    return Display(aspect, False, d < 0, a < 0)


def frame_pixels(
    frame: av.VideoFrame, shown: Display, channels: int, pixels: Pixels
) -> UInt8[np.ndarray, "H W c"]:
    """A frame's pixels; for `display` made square, by widening or narrowing, and turned upright."""
    width = round(frame.width * shown.aspect) if pixels == "display" else frame.width
    # PyAV frees FFmpeg's threads also in a forked process, which waits for them and has none.
    found = frame.reformat(max(width, 1), format=PIXEL_FORMATS[channels], threads=1)
    picture = found.to_ndarray()
    picture = picture.reshape(*picture.shape[:2], -1)
    return _upright(picture, shown) if pixels == "display" else picture


def thumbnail(frame: av.VideoFrame, shown: Display) -> UInt8[np.ndarray, "H W 3"]:
    """A frame as a viewer sees it, its longer side `THUMBNAIL_SIZE`."""
    width = float(frame.width * shown.aspect)
    scale = THUMBNAIL_SIZE / max(width, frame.height)
    w, h = (max(round(side * scale), 1) for side in (width, frame.height))
    small = frame.reformat(w, h, "rgb24", interpolation="AREA", threads=1)
    return _upright(small.to_ndarray(), shown)


def _upright(picture: UInt8[np.ndarray, "H W c"], shown: Display) -> UInt8[np.ndarray, "H2 W2 c"]:
    if shown.swap_axes:
        picture = picture.swapaxes(0, 1)
    if shown.upside_down:
        picture = picture[::-1]
    return picture[:, ::-1] if shown.left_to_right else picture
