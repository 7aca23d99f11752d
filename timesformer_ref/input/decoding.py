"""Decode video files to frames with PyAV."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from jaxtyping import Float64

from timesformer_ref.input.display import Display, read_display

ANY_METADATA: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Options to accept titles that are not UTF-8, which PyAV 19 does by itself."""


FIELD_CODECS = ("h264", "hevc", "mpeg2video", "vc1")
"""Those that may code a frame as two fields, each in a packet of its own."""


class VideoError(Exception):
    """A file that gives no clip; names the file, what is wrong and what would be right."""


class VideoWarning(UserWarning):
    """A file that gives a clip, but perhaps not the one that was expected."""


def check_video(path: str | os.PathLike[str]) -> None:
    """Raises VideoError where the packets of a file hold no frame; none of them is decoded."""
    survey(Path(path))


class Footage(NamedTuple):
    """The frames of a video: the seconds at which they are shown, their rate and number.

    promised: frames that the container announces, of which some may be missing or damaged.
    """

    times: Float64[np.ndarray, " n"]
    fps: float
    promised: int


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open a container and its first video stream."""
    if not path.exists():
        raise VideoError(f"{path}: no such file; give the path of a video file")
    if path.is_dir():
        raise VideoError(f"{path}: is a directory; give the path of one video file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: is empty; get a whole copy of the video")
    try:
        # The prefix keeps FFmpeg from taking a name with a colon for a network address.
        container = av.open(f"file:{path}", **ANY_METADATA)
    except av.FFmpegError as error:
        raise VideoError(
            f"{path}: is no video that FFmpeg can read ({error.strerror}); "
            "give a whole video file, such as mp4, avi, mkv or webm"
        ) from error
    with container:
        # FFmpeg draws text files as pictures of a terminal; cover art is a video of one picture.
        pictures = [] if container.format.name == "tty" else container.streams.video
        moving = [s for s in pictures if not s.disposition & av.stream.Disposition.attached_pic]
        if not moving:
            raise VideoError(
                f"{path}: holds no video stream; give a whole file with moving pictures"
            )
        stream = moving[0]
        if stream.codec_context is None:
            raise VideoError(f"{path}: FFmpeg has no decoder for it; convert it, say to H.264 mp4")
        stream.thread_type = "AUTO"
        yield container, stream


def _packets(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """The stream's packets in the order of the file, up to the first that cannot be read."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def decode_frames(path: Path) -> Iterator[tuple[av.VideoFrame, Display] | None]:
    """The frames in display order, and how a viewer shows them; None for damaged packets."""
    with _opened(path) as (container, stream):
        shown = None
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield None
                continue
            for frame in frames:
                shown = shown or read_display(stream, frame)
                yield frame, shown


def survey(path: Path) -> Footage:
    """Count the frames by their packets, without decoding them.

    An mp4 header also counts frames that an edit list removes, so its index is counted instead.
    """
    with _opened(path) as (container, stream):
        mp4 = "mp4" in container.format.name
        announced = len(stream.index_entries) if mp4 else stream.frames
        packets = [
            (None if p.pts is None else float(p.pts * p.time_base), p.is_discard)
            for p in _packets(container, stream)
            if p.size and _is_picture(stream.codec_context.name, bytes(p))  # empty: the end
        ]
        claims = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        may_hold_fields = stream.codec_context.name in FIELD_CODECS
    stamps = in_order([time for time, hidden in packets if not hidden])
    fps = frame_rate(stamps, claims)
    if fps is None:
        raise VideoError(f"{path}: has no frame rate; convert it, say to H.264 mp4")
    if may_hold_fields and hold_fields(stamps, fps):
        stamps, packets = stamps[::2], packets[::2]
    times = frame_times(stamps, fps, path)
    return Footage(times, fps, len(times) + max(announced - len(packets), 0))


def _is_picture(codec: str, packet: bytes) -> bool:
    """Whether a packet is shown; VP8 has others, which only serve to decode those that follow."""
    return codec != "vp8" or bool(packet[0] & 0x10)


def frame_times(
    stamps: Sequence[float | None], fps: float, path: Path
) -> Float64[np.ndarray, " n"]:
    """Seconds at which frames are shown, in order: evenly spaced unless all stamps rise."""
    if not stamps:
        raise VideoError(f"{path}: no frame of it can be decoded; get an undamaged copy")
    known = np.array([stamp for stamp in stamps if stamp is not None], np.float64)
    if len(known) < len(stamps) or (np.diff(known) < 0).any():
        return np.arange(len(stamps)) / fps
    return known


def in_order(stamps: Sequence[float | None]) -> list[float | None]:
    """Stamps of packets in the order of display, where every packet has one."""
    known = [stamp for stamp in stamps if stamp is not None]
    return [*sorted(known)] if len(known) == len(stamps) else [*stamps]


def frame_rate(stamps: Sequence[float | None], claims: Sequence[float]) -> float | None:
    """The first claimed rate that the packets' times bear out, else the first, else None.

    Packets may hold a field each, so half of their rate is borne out too.
    """
    packets = packet_rate(stamps)
    borne_out = [rate for rate in claims if packets is None or 0.4 < rate / packets < 2.5]
    return next(iter(borne_out or claims), None)


def packet_rate(stamps: Sequence[float | None]) -> float | None:
    """Packets per second by their stamps, in order; None where these do not say."""
    first, last = (stamps[0], stamps[-1]) if stamps else (None, None)
    if first is None or last is None or last <= first:
        return None
    return (len(stamps) - 1) / (last - first)


def hold_fields(stamps: Sequence[float | None], fps: float) -> bool:
    """Whether each packet holds one of a frame's two fields: twice as many as there are frames."""
    packets = packet_rate(stamps)
    if packets is None or len(stamps) < 4 or None in stamps:
        return False
    gaps = np.diff(np.array(stamps, np.float64)) * fps
    # two segments that are joined have as many, but in pairs of the same time
    return abs(packets / fps - 2) < 0.1 and bool(gaps.min() > 0.25)


def warn_of_display(path: Path, shown: Display) -> None:
    """Warn (VideoWarning) where a viewer does not show the pixels as they are stored."""
    differences = []
    if any(shown[1:]):
        differences.append("turned by its rotation flag")
    if shown.aspect != 1:
        shape = f"{shown.aspect.numerator}:{shown.aspect.denominator}"
        differences.append(f"with pixels of {shape}, width to height")
    if differences:
        warnings.warn(
            f"{path}: a viewer shows this video {' and '.join(differences)}; its stored pixels "
            'are read, as the original does; use pixels="display" (--pixels display) for what '
            "a viewer sees",
            VideoWarning,
            stacklevel=3,
        )
