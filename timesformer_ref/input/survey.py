"""Count and time the frames of a video by its container, without decoding them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.index import IndexEntry
from jaxtyping import Float64

from timesformer_ref.input import decoding
from timesformer_ref.input.decoding import VideoError, VideoWarning, packets

Stamps = Sequence[float | None]

FIELD_CODECS = ("h264", "hevc", "mpeg2video", "vc1")
"""Codecs that may code a frame as two fields, each in a packet of its own."""

SPARSE = 1000
"""How many times fewer frames than their rate asks for a video may have, by their times."""

NO_TIMESTAMPS = 1 << 7
"""FFmpeg's flag of formats that hold nothing but the stream itself."""


class Footage(NamedTuple):
    """The frames of a video: the seconds at which they are shown, their rate and number.

    promised: frames that the container announces, of which some may be missing or damaged.
    """

    times: Float64[np.ndarray, " n"]
    fps: float
    promised: int


class Picture(NamedTuple):
    """A packet of the video. seconds: when it is shown, None where that is unsaid."""

    seconds: float | None
    is_hidden: bool


def survey(path: Path, timed: bool = True) -> Footage:
    """Count the frames of a video, and warn (VideoWarning) of one that is hardly a video.

    timed: read when each is shown, from all packets. Otherwise an index of them is enough, where
    the container has one, however long the video is.
    """
    with decoding.opened(path) as (container, stream):
        index = _index(stream)
        listed = [] if timed else _listed(container, stream, index, path)
        pictures = listed or _read(container, stream)
        stamps = in_order([picture.seconds for picture in pictures if not picture.is_hidden])
        fps = frame_rate(stamps, _claimed_rates(container, stream))
        if fps is None:
            raise VideoError(f"{path}: has no frame rate; convert it, say to H.264 mp4")
        if "mp4" in container.format.name:  # fragments have been added to the index by now
            missing = len(index if listed else _index(stream)) - len(pictures)
        elif container.format.name == "avi" and len(index) > 1:
            missing = len(index) - len(pictures)
        else:
            missing = _unread(stream.frames, stamps, fps, path)
        missing = max(missing, 0)
        if stream.codec_context.name in FIELD_CODECS and hold_fields(stamps, fps):
            stamps, missing = stamps[::2], missing // 2
        streams = decoding.moving_streams(container)
        if len(streams) > 1:
            which = f"number {stream.index} is read, of {stream.width} × {stream.height} pixels"
            message = f"{path}: has {len(streams)} video streams; {which}"
            warnings.warn(message, VideoWarning, stacklevel=3)
    times = frame_times(stamps, fps, path)
    if len(times) == 1:
        warnings.warn(f"{path}: has one frame, which fills the clip", VideoWarning, stacklevel=3)
    return Footage(times, fps, len(times) + missing)


def _read(container: decoding.Container, stream: av.VideoStream) -> list[Picture]:
    """The pictures by the packets, in the order of the file; an empty packet is its end.

    Raw streams have no times, but how long each picture lasts, by their own headers.
    """
    raw, pictures, moment = container.format.flags & NO_TIMESTAMPS, [], 0.0
    is_vp8 = stream.codec_context.name == "vp8"
    for p in packets(container, stream):
        # VP8 has packets that are not shown, which only serve to decode those that follow.
        if p.size and (not is_vp8 or bytes(p)[0] & 0x10):
            lasts = float((p.duration or 0) * p.time_base)
            unsaid = moment if raw and lasts else None
            seconds = unsaid if p.pts is None else float(p.pts * p.time_base)
            pictures.append(Picture(seconds, p.is_discard))
            moment += lasts
    return pictures


def _index(stream: av.VideoStream) -> list[IndexEntry]:
    """What the container lists of the stream; empty entries repeat the frame before them."""
    return [entry for entry in stream.index_entries if entry.size]


def _listed(
    container: decoding.Container, stream: av.VideoStream, index: Sequence[IndexEntry], path: Path
) -> list[Picture]:
    """The pictures by the index, in the order of the file; none where it is not of all of them."""
    stamps = np.array([entry.timestamp for entry in index], np.float64)
    is_mp4 = "mp4" in container.format.name and len(index) == stream.frames
    if not (is_mp4 or container.format.name == "avi") or len(index) < 2 or not stream.duration:
        return []
    rest = stream.duration - (stamps[-1] - stamps[0])
    if rest > 2 * np.diff(stamps).max() or stream.codec_context.name == "vp8":
        return []
    size, tick = path.stat().st_size, float(stream.time_base or 1)
    return [Picture(e.timestamp * tick, e.is_discard) for e in index if e.pos + e.size <= size]


def _claimed_rates(container: decoding.Container, stream: av.VideoStream) -> list[float]:
    """Frames per second by the container; by the stream's own header where it is all there is."""
    claims = [stream.average_rate, stream.guessed_rate]
    if container.format.flags & NO_TIMESTAMPS:
        claims.insert(0, stream.codec_context.framerate)
    return [float(rate) for rate in claims if rate]


def _unread(announced: int, stamps: Stamps, fps: float, path: Path) -> int:
    """How many more frames a header announces than packets cover, of which empty ones repeat some.

    A program that writes AVI to a pipe cannot go back to fill in the number.
    """
    if 8 * announced > path.stat().st_size:  # they cannot be there, of 8 bytes and more each
        return 0
    last = stamps[-1] if stamps else None
    return announced - max(len(stamps), 0 if last is None else round(last * fps) + 1)


def frame_times(stamps: Stamps, fps: float, path: Path) -> Float64[np.ndarray, " n"]:
    """Seconds at which frames are shown, in order: evenly spaced unless all stamps rise.

    Nor are stamps believed by which nearly nothing is shown nearly all the time (`SPARSE`).
    """
    if not stamps:
        raise decoding.no_frame(path)
    known = np.array([stamp for stamp in stamps if stamp is not None], np.float64)
    rise = len(known) == len(stamps) and bool((np.diff(known) >= 0).all())
    if not rise or (known[-1] - known[0]) * fps > SPARSE * len(known):
        return np.arange(len(stamps)) / fps
    return known


def in_order(stamps: Stamps) -> list[float | None]:
    """Stamps of packets in the order of display, where every packet has one."""
    known = [stamp for stamp in stamps if stamp is not None]
    return [*sorted(known)] if len(known) == len(stamps) else [*stamps]


def frame_rate(stamps: Stamps, claims: Sequence[float]) -> float | None:
    """The first claimed rate that the packets' times bear out, else the first, else None.

    Packets may hold a field each, so half of their rate is borne out too.
    """
    packets = packet_rate(stamps)
    borne_out = [rate for rate in claims if packets is None or 0.4 < rate / packets < 2.5]
    return next(iter(borne_out or claims), None)


def packet_rate(stamps: Stamps) -> float | None:
    """Packets per second by their stamps, in order; None where these do not say."""
    first, last = (stamps[0], stamps[-1]) if stamps else (None, None)
    if first is None or last is None or last <= first:
        return None
    return (len(stamps) - 1) / (last - first)


def hold_fields(stamps: Stamps, fps: float) -> bool:
    """Whether each packet holds one of a frame's two fields: twice as many as there are frames."""
    packets = packet_rate(stamps)
    if packets is None or len(stamps) < 4 or None in stamps:
        return False
    gaps = np.diff(np.array(stamps, np.float64)) * fps
    # two segments that are joined have as many, but in pairs of the same time
    return abs(packets / fps - 2) < 0.1 and bool(gaps.min() > 0.25)
