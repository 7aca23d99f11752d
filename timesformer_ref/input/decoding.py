"""Decode video files to frames with PyAV."""

import gc
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from timesformer_ref.input.display import Display, read_display

Container = av.container.InputContainer

ANY_METADATA: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Options to accept titles that are not UTF-8, which PyAV 19 does by itself."""

ALONE = {"format_whitelist": ",".join(av.formats_available - {"concat", "dash", "hls", "tty"})}
"""FFmpeg's option to read no list of other files, and no text as a picture of a terminal."""

MOST_PIXELS, MOST_OBLONG = 8192 * 4096, 100
"""What a frame may have of pixels, and of its longer side to its shorter, which is resized."""

SQUARE_ENOUGH = 0.01
"""How far the aspect of pixels may be from 1 without a warning."""


class VideoError(Exception):
    """A file that gives no clip; names the file, what is wrong and what would be right."""


class VideoWarning(UserWarning):
    """A file that gives a clip, but perhaps not the one that was expected."""


class DisplayWarning(VideoWarning):
    """A file of which a viewer shows other pixels than those that are stored."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[Container, av.VideoStream]]:
    """Open a container and the video stream that a player shows."""
    if not path.exists():
        raise VideoError(f"{path}: no such file; give the path of a video file")
    if path.is_dir():
        raise VideoError(f"{path}: is a directory; give the path of one video file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: is empty; get a whole copy of the video")
    try:
        # The prefix keeps FFmpeg from taking a name with a colon for a network address.
        container = av.open(f"file:{path}", options=ALONE, **ANY_METADATA)
    except av.FFmpegError as error:
        raise VideoError(
            f"{path}: is no video that FFmpeg can read ({error.strerror}); "
            "give a whole video file, such as mp4, avi, mkv or webm"
        ) from error
    with container:
        stream = next(iter(moving_streams(container)), None)
        if stream is None:
            raise VideoError(f"{path}: holds no video stream; give the whole file of a video")
        if stream.codec_context is None:
            raise VideoError(f"{path}: FFmpeg has no decoder for it; convert it, say to H.264 mp4")
        check_shape(path, stream.width, stream.height)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container, stream


def check_shape(path: Path, width: int, height: int) -> None:
    """Raises VideoError for frames that nobody makes, and that would take gigabytes."""
    if width * height > MOST_PIXELS or max(width, height) > MOST_OBLONG * min(width, height):
        raise VideoError(
            f"{path}: has frames of {width} × {height} pixels; use a video of at most "
            f"{MOST_PIXELS:,} pixels, and {MOST_OBLONG} to 1"
        )


def moving_streams(container: Container) -> list[av.VideoStream]:
    """The video streams without covers and previews, that which a player shows first."""
    kinds = av.stream.Disposition
    covers = kinds.attached_pic | kinds.timed_thumbnails | kinds.still_image
    moving = [s for s in container.streams.video if not s.disposition & covers]
    return sorted(moving, key=lambda s: (s.frames == 1, not s.disposition & kinds.default))


def no_frame(path: Path) -> VideoError:
    """The error for a file without a frame that can be decoded, with the likely cause."""
    with path.open("rb") as file:
        start = file.read(12)
    if start[8:] == b"WEBP":
        return VideoError(f"{path}: this FFmpeg decodes no animated WebP; convert it, say to mp4")
    return VideoError(f"{path}: no frame of it can be decoded; get an undamaged copy")


def packets(container: Container, stream: av.VideoStream) -> Iterator["av.Packet[av.VideoStream]"]:
    """The stream's packets in the order of the file, up to the first that cannot be read."""
    with suppress(av.FFmpegError, IndexError):  # PyAV knows no stream that appears on the way
        yield from container.demux(stream)


LEFT = Counter[str]()
"""Pixels of the videos whose decoders may be left over."""


def decode_frames(path: Path) -> Iterator[tuple[av.VideoFrame, Display] | None]:
    """The frames in display order, and how a viewer shows them; None for damaged packets.

    PyAV's containers and streams refer to each other, so each keeps its decoder's threads and
    pictures until garbage is collected; by itself Python hardly ever does.
    """
    if LEFT.total() > 1 << 23:
        LEFT.clear()
        gc.collect()
    with opened(path) as (container, stream):
        LEFT["pixels"] += max(stream.width * stream.height, 1 << 18)
        shown = None
        for packet in packets(container, stream):
            if packet.has_sidedata("encryption_info"):
                raise VideoError(f"{path}: is encrypted; get a copy without copy protection")
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield None
                continue
            for frame in frames:
                shown = shown or read_display(stream, frame)
                check_shape(path, round(frame.width * max(shown.aspect, Fraction(1))), frame.height)
                yield frame, shown


def display_words(shown: Display) -> str:
    """How what a viewer shows differs from the stored pixels; empty where it does not."""
    differences = []
    if any(shown[1:]):
        differences.append("turned by its rotation flag")
    if abs(shown.aspect - 1) > SQUARE_ENOUGH:
        shape = f"{shown.aspect.numerator}:{shown.aspect.denominator}"
        differences.append(f"with pixels of {shape}, width to height")
    return " and ".join(differences)


def warn_of_display(path: Path, shown: Display) -> None:
    """Warn (DisplayWarning) where a viewer does not show the pixels as they are stored."""
    if words := display_words(shown):
        warnings.warn(
            f"{path}: a viewer shows this video {words}; its stored pixels "
            'are read, as the original does; use pixels="display" (--pixels display) for what '
            "a viewer sees",
            DisplayWarning,
            stacklevel=3,
        )
