"""Video files to clips, by way of PyAV."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
import numpy as np
from einops import rearrange
from jaxtyping import Float32, Float64, Int64, UInt8

from timesformer_ref.preprocessing import Preprocessing
from timesformer_ref.sampling import frame_indices, segment_indices
from timesformer_ref.views import crops

Pixels = Literal["stored", "display"]

KINETICS = Preprocessing()
"""What the smallest published checkpoint expects, 8 frames at rate 32 and 224 pixels."""

PIXEL_FORMATS = {1: "gray", 3: "rgb24"}
"""What frames are decoded to, by the model's number of channels."""


class VideoError(Exception):
    """A file that gives no clip: names the file, what is wrong and what would be right."""


class VideoWarning(UserWarning):
    """A file that gives a clip, but perhaps not the one that was expected."""


class Clip(NamedTuple):
    """What a model sees of a video.

    video: the views, all crops of clip 0 first, then those of clip 1, and so on.
    frames: for each clip, the numbers of its frames in the video.
    """

    video: Float32[np.ndarray, "v t c H W"]
    frames: list[list[int]]


def read_clip(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing = KINETICS,
    *,
    num_clips: int = 1,
    num_crops: int = 3,
    pixels: Pixels = "stored",
) -> Clip:
    """Views of a video file, as the original's test pipeline takes them (`datasets/kinetics.py`).

    preprocessing: what the checkpoint expects; a `mean` of one number reads the video in grey.
    num_clips: how many clips, spread over the video; num_crops: how many crops of each, 3 or 1.
    pixels: `stored` counts frames, at the average rate, and takes pixels as they lie in the file:
        the original's way. `display` honours timestamps, pixel aspect and rotation flag: what a
        viewer sees. A video of constant rate gives the same frames either way.

    Frames are decoded in order and each is cut to its views at once, so that memory grows with the
    views and not with the video. One clip needs no frame after its last, and damage there is not
    looked for; several clips, and segments, rest on the number of frames, so all are decoded.
    What cannot be decoded is passed over, as players do: frames are then chosen among those that
    survive.

    Raises VideoError where the file gives no clip, ValueError where the arguments do not make
    sense. Warns with VideoWarning where the file is damaged, and where `stored` pixels differ from
    what a viewer sees.
    """
    _check(preprocessing, num_clips, num_crops, pixels)
    path = Path(path)
    footage = _survey(path)
    if pixels == "stored":
        _warn_of_display(path)
    # Where one clip starts does not rest on the number of frames; several, and segments, do.
    rests_on_total = num_clips > 1 or preprocessing.sampling_rate is None
    while True:
        indices = _sample(footage, preprocessing, num_clips, pixels)
        video, times, ended = _decode(
            path, indices, footage, preprocessing, num_crops, pixels, rests_on_total
        )
        if not ended or _agree(times, footage, pixels):
            break
        footage = footage._replace(times=_times(times, footage.fps, path))
    survivors = len(footage.times)
    if survivors < footage.promised:
        counts = f"{path}: {footage.promised} frames are promised, but {survivors} can be decoded"
        if survivors < preprocessing.num_frames:
            raise VideoError(
                f"{counts}, too few for {preprocessing.num_frames}: get an undamaged copy"
            )
        warnings.warn(f"{counts}; the clip is taken from these", VideoWarning, stacklevel=2)
    return Clip(rearrange(video, "clips crops t c h w -> (clips crops) t c h w"), indices.tolist())


class _Footage(NamedTuple):
    """What is known of a video: seconds at which its frames are shown, their rate and number.

    promised: frames that the container announces, of which some may be missing or damaged.
    """

    times: Float64[np.ndarray, " n"]
    fps: float
    promised: int


def _check(preprocessing: Preprocessing, num_clips: int, num_crops: int, pixels: str) -> None:
    channels = len(preprocessing.mean)
    if channels not in PIXEL_FORMATS:
        raise ValueError(f"mean has {channels} numbers: use 3 for colour or 1 for grey frames")
    if num_clips < 1:
        raise ValueError(f"num_clips {num_clips} is impossible: use a whole number above 0")
    if num_clips > 1 and preprocessing.sampling_rate is None:
        raise ValueError(
            f"num_clips {num_clips} with segments (sampling_rate None): segments span the whole "
            "video, so use num_clips 1"
        )
    if num_crops not in (1, 3):
        raise ValueError(f"num_crops {num_crops} is unknown: use 3, or 1 for the centre")
    if pixels not in ("stored", "display"):
        raise ValueError(f"pixels {pixels!r} is unknown: use stored or display")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """The container, and its first stream of moving pictures."""
    if not path.exists():
        raise VideoError(f"{path}: no such file; give the path of a video file")
    if path.is_dir():
        raise VideoError(f"{path}: is a directory; give the path of one video file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: is empty; get a whole copy of the video")
    try:
        # The prefix keeps FFmpeg from taking a name with a colon for a network address.
        container = av.open(f"file:{path}", metadata_errors="replace")
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
    """The stream's packets in the order of the file, up to where it cannot be read any more."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def _frames(path: Path) -> Iterator[tuple[av.VideoFrame, _Display] | None]:
    """The frames in the order of display and how a viewer shows them; None for what is damaged."""
    with _opened(path) as (container, stream):
        shown = None
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield None
                continue
            for frame in frames:
                shown = shown or _display(stream, frame)
                yield frame, shown


def _survey(path: Path) -> _Footage:
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
        rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise VideoError(f"{path}: does not tell its frame rate; convert it, say to H.264 mp4")
    times = _times([time for time, hidden in packets if not hidden], float(rate), path)
    return _Footage(times, float(rate), len(times) + max(announced - len(packets), 0))


def _is_picture(codec: str, packet: bytes) -> bool:
    """Whether a packet is shown; VP8 has others, which only serve to decode those that follow."""
    return codec != "vp8" or bool(packet[0] & 0x10)


def _times(stamps: Sequence[float | None], fps: float, path: Path) -> Float64[np.ndarray, " n"]:
    """Seconds at which frames are shown, in order; evenly spaced where the file does not say."""
    if not stamps:
        raise VideoError(f"{path}: no frame of it can be decoded; get an undamaged copy")
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps):
        return np.arange(len(stamps)) / fps
    return np.sort(np.array(known, np.float64))


def _sample(
    footage: _Footage, preprocessing: Preprocessing, num_clips: int, pixels: Pixels
) -> Int64[np.ndarray, "clips t"]:
    """The numbers of each clip's frames.

    `display` samples an even grid of moments, one a frame at the average rate, and takes what is
    shown in the middle of each: so rounded timestamps do not matter, and at a constant rate the
    moments are the frames.
    """
    times, fps, _ = footage
    seconds = times - times[0]
    total = round(seconds[-1] * fps) + 1 if pixels == "display" else len(times)
    num_frames, rate = preprocessing.num_frames, preprocessing.sampling_rate
    if rate is None:
        indices = segment_indices(total, num_frames)[None]
    else:
        indices = np.stack(
            [
                frame_indices(total, fps, num_frames, rate, clip, num_clips)
                for clip in range(num_clips)
            ]
        )
    if pixels == "stored":
        return indices
    return np.searchsorted(seconds, (indices + 0.5) / fps, side="right") - 1


def _decode(
    path: Path,
    indices: Int64[np.ndarray, "clips t"],
    footage: _Footage,
    preprocessing: Preprocessing,
    num_crops: int,
    pixels: Pixels,
    to_the_end: bool,
) -> tuple[Float32[np.ndarray, "clips crops t c H W"], list[float | None], bool]:
    """The views of the frames with these numbers, when each decoded frame is shown, and the end.

    Decoding stops after the last of these frames, unless it is asked to go on `to_the_end` or the
    video proves damaged or other than surveyed. Where the end comes too early, views are left
    unfilled.
    """
    channels, side = len(preprocessing.mean), preprocessing.crop
    clips, t = indices.shape
    video = np.empty((clips, num_crops, t, channels, side, side), np.float32)
    times: list[float | None] = []
    damaged = False
    for decoded in _frames(path):
        if decoded is None:
            damaged = True
            continue
        frame, shown = decoded
        clip, position = np.nonzero(indices == len(times))
        if len(clip):
            views = crops(
                _picture(frame, shown, PIXEL_FORMATS[channels], pixels)[None],
                preprocessing.scale(num_crops),
                side,
                num_crops=num_crops,
                mean=preprocessing.mean,
                std=preprocessing.std,
                channel_order=preprocessing.channel_order,
            )
            video[clip, :, position] = views[:, 0]
        times.append(frame.time)
        if len(times) > indices.max() and not (to_the_end or damaged):
            if _agree(times, footage, pixels, so_far=True):
                return video, times, False
            to_the_end = True
    return video, times, True


def _agree(
    times: Sequence[float | None], footage: _Footage, pixels: Pixels, so_far: bool = False
) -> bool:
    """Whether the decoded frames are those that were surveyed: as many, and for `display` as timed.

    A decoder drops frames without a word where it lacks those that they are made from.
    """
    surveyed = footage.times[: len(times)] if so_far else footage.times
    if len(times) != len(surveyed) or pixels == "stored":
        return len(times) == len(surveyed)
    if None in times:
        return True  # there is nothing better to go by than the survey
    found = np.array(times, np.float64)
    return np.allclose(found - found[0], surveyed - surveyed[0], rtol=0, atol=0.5 / footage.fps)


def _picture(
    frame: av.VideoFrame, shown: _Display, pixel_format: str, pixels: Pixels
) -> UInt8[np.ndarray, "H W c"]:
    """A frame's pixels; for `display` made square, by widening or narrowing, and set upright."""
    width = round(frame.width * shown.aspect) if pixels == "display" else frame.width
    picture = frame.reformat(width=max(width, 1), format=pixel_format).to_ndarray()
    picture = picture.reshape(*picture.shape[:2], -1)
    return _upright(picture, shown) if pixels == "display" else picture


class _Display(NamedTuple):
    """How a viewer shows a stored picture: with pixels made square, then turned in these steps.

    aspect: width over height of a stored pixel.
    """

    aspect: Fraction
    swap_axes: bool = False
    upside_down: bool = False
    left_to_right: bool = False


def _display(stream: av.VideoStream, frame: av.VideoFrame) -> _Display:
    """Read pixel aspect and display matrix, which are the same for all frames of the stream.

    The matrix shows a stored point (x, y), y down, at (a x + c y, b x + d y). Asked of every frame,
    it would keep each in memory: PyAV's frame and its side data hold on to each other.
    """
    aspect = stream.sample_aspect_ratio or Fraction(1)
    # PyAV's own annotation knows one kind of side data only.
    side_data = cast("Mapping[str, bytes]", frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return _Display(aspect)
    a, b, _, c, d, *_ = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32).tolist()
    if abs(b) > abs(a):
        return _Display(aspect, True, b < 0, c < 0)
    return _Display(aspect, False, d < 0, a < 0)


def _upright(picture: UInt8[np.ndarray, "H W c"], shown: _Display) -> UInt8[np.ndarray, "H2 W2 c"]:
    if shown.swap_axes:
        picture = picture.swapaxes(0, 1)
    if shown.upside_down:
        picture = picture[::-1]
    return picture[:, ::-1] if shown.left_to_right else picture


def _warn_of_display(path: Path) -> None:
    """Warn where a viewer does not show the pixels as they are stored."""
    shown = next((decoded[1] for decoded in _frames(path) if decoded), _Display(Fraction(1)))
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
