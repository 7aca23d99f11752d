"""Video files to clips, by way of PyAV."""

from __future__ import annotations

import mimetypes
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
import numpy as np
from einops import rearrange
from jaxtyping import Float32, Float64, Int64, UInt8

from timesformer_ref.preprocessing import Preprocessing
from timesformer_ref.sampling import Windows, frame_indices, segment_indices, windows
from timesformer_ref.views import crops

Pixels = Literal["stored", "display"]

KINETICS = Preprocessing()
"""What the smallest published checkpoint expects, 8 frames at rate 32 and 224 pixels."""

PIXEL_FORMATS = {1: "gray", 3: "rgb24"}
"""What frames are decoded to, by the model's number of channels."""

PICTURE_SIZE = 160
"""The longer side of a window's picture, pixels."""


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


class Window(NamedTuple):
    """A part of a video, and what a model sees of it.

    start, end: seconds. picture: its first frame, small, as a viewer sees it.
    total: how many windows the whole video has.
    """

    start: float
    end: float
    clip: Clip
    picture: UInt8[np.ndarray, "H W 3"]
    total: int


def read_clip(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing = KINETICS,
    *,
    num_clips: int = 1,
    num_crops: int | None = None,
    pixels: Pixels = "stored",
) -> Clip:
    """Views of a video file, as the original's test pipeline takes them (`datasets/kinetics.py`).

    preprocessing: what the checkpoint expects; a `mean` of one number reads the video in grey.
    num_clips: how many clips, spread over the video; num_crops: how many crops of each, 3 or 1,
        by default what the checkpoint expects.
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
    if num_crops is not None:
        preprocessing = replace(preprocessing, num_crops=num_crops)
    _check(preprocessing, num_clips, pixels)
    path = Path(path)
    footage = _survey(path)
    if pixels == "stored":
        _warn_of_display(path)
    # Where one clip starts does not rest on the number of frames; several, and segments, do.
    rests_on_total = num_clips > 1 or preprocessing.sampling_rate is None
    while True:
        indices = _sample(footage, preprocessing, num_clips, pixels)
        video, times, ended = _decode(path, indices, footage, preprocessing, pixels, rests_on_total)
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


def read_windows(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing = KINETICS,
    *,
    every: float | None = None,
    pixels: Pixels = "stored",
) -> Iterator[Window]:
    """Clips along a whole video, each as soon as its last frame is decoded.

    every: seconds from the start of one window to the next, by default a window's own length; the
        last window ends with the video (see `sampling.windows`).
    preprocessing, pixels: as for `read_clip`, which reads the first window's clip.

    The video is decoded once, and memory holds the views of the windows that are under way: of one,
    or of several where they overlap.
    A video that breaks off earlier than it promises gives windows as far as it goes, under a
    VideoWarning; the window in which it breaks off repeats the last frame.

    Raises VideoError and ValueError as `read_clip` does, and ValueError for segments, which span
    the whole video.
    """
    _check(preprocessing, 1, pixels)
    path = Path(path)
    footage = _survey(path)
    if pixels == "stored":
        _warn_of_display(path)
    seconds, indices = _plan(footage, preprocessing, every, pixels)
    views: defaultdict[int, dict[int, _Views]] = defaultdict(dict)  # of each window by position
    pictures: dict[int, UInt8[np.ndarray, "H W 3"]] = {}

    def take_out(window: int) -> Window:
        found = views.pop(window)
        in_order = [found.get(t, found[max(found)]) for t in range(preprocessing.num_frames)]
        clip = Clip(np.stack(in_order, axis=1), [indices[window].tolist()])
        start, end = seconds[window].tolist()
        return Window(start, end, clip, pictures.pop(window), len(indices))

    done = decoded = 0
    for cut in filter(None, _cut_frames(path, indices, preprocessing, pixels)):
        for window, position in cut.places.tolist():
            if window not in views:
                pictures[window] = _small_picture(cut.frame, cut.shown)
            views[window][position] = cut.views
        decoded += 1
        while done < len(indices) and indices[done].max() < decoded:
            yield take_out(done)
            done += 1
    if decoded < footage.promised:
        message = f"{path}: {footage.promised} frames are promised, but {decoded} can be decoded"
        if not decoded:
            raise VideoError(f"{message}: get an undamaged copy")
        warnings.warn(f"{message}; the windows are of these", VideoWarning, stacklevel=2)
    if done in views:
        yield take_out(done)


def read_frames(
    path: str | os.PathLike[str],
    choose: Callable[[int, float], Int64[np.ndarray, " t"]],
    *,
    channels: int = 3,
    pixels: Pixels = "stored",
) -> list[UInt8[np.ndarray, "H W c"]]:
    """Frames of a video as they are, for training to cut as it likes.

    choose: from how many frames there are, and how many a second, to the numbers of those wanted;
        it is asked again where fewer can be decoded than the file promises.
    channels: 3 for colour, 1 for grey. pixels: as for `read_clip`.
    Raises VideoError where the file gives no frame.
    """
    path = Path(path)
    footage = _survey(path)
    while True:
        moments = choose(_moments(footage, pixels), footage.fps)
        indices = _shown(footage, moments[None], pixels)[0].tolist()
        pictures: dict[int, UInt8[np.ndarray, "H W c"]] = {}
        times: list[float | None] = []
        for frame, shown in filter(None, _frames(path)):
            if len(times) in indices:
                pictures[len(times)] = _picture(frame, shown, PIXEL_FORMATS[channels], pixels)
            times.append(frame.time)
            if len(times) > max(indices):
                return [pictures[number] for number in indices]
        footage = footage._replace(times=_times(times, footage.fps, path))


def is_video(path: Path) -> bool:
    """Whether a file's name is a video's."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("video/") or path.suffix.lower() in (".mkv", ".flv", ".m2ts", ".ts")


def check_video(path: str | os.PathLike[str]) -> None:
    """Raises VideoError where the packets of a file hold no frame; none of them is decoded."""
    _survey(Path(path))


class _Footage(NamedTuple):
    """What is known of a video: seconds at which its frames are shown, their rate and number.

    promised: frames that the container announces, of which some may be missing or damaged.
    """

    times: Float64[np.ndarray, " n"]
    fps: float
    promised: int


def _check(preprocessing: Preprocessing, num_clips: int, pixels: str) -> None:
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
    """The numbers of each clip's frames."""
    total, fps = _moments(footage, pixels), footage.fps
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
    return _shown(footage, indices, pixels)


def _plan(
    footage: _Footage, preprocessing: Preprocessing, every: float | None, pixels: Pixels
) -> Windows:
    """Windows along the video, with the numbers of their frames."""
    if preprocessing.sampling_rate is None:
        raise ValueError(
            "windows with segments (sampling_rate None): segments span the whole video, so give a "
            "sampling_rate (--rate N)"
        )
    seconds, moments = windows(
        _moments(footage, pixels),
        footage.fps,
        preprocessing.num_frames,
        preprocessing.sampling_rate,
        every,
    )
    return Windows(seconds, _shown(footage, moments, pixels))


def _moments(footage: _Footage, pixels: Pixels) -> int:
    """How many moments there are to sample from.

    `stored` samples the frames. `display` samples an even grid of moments, one a frame at the
    average rate, and takes what is shown in the middle of each: so rounded timestamps do not
    matter, and at a constant rate the moments are the frames.
    """
    if pixels == "stored":
        return len(footage.times)
    return round((footage.times[-1] - footage.times[0]) * footage.fps) + 1


def _shown(
    footage: _Footage, moments: Int64[np.ndarray, "n t"], pixels: Pixels
) -> Int64[np.ndarray, "n t"]:
    """The numbers of the frames at these moments."""
    if pixels == "stored":
        return moments
    seconds = footage.times - footage.times[0]
    return np.searchsorted(seconds, (moments + 0.5) / footage.fps, side="right") - 1


_Views = Float32[np.ndarray, "crops c H W"]


class _Cut(NamedTuple):
    """A decoded frame, and its views where it has places: rows of clip and position in it."""

    frame: av.VideoFrame
    shown: _Display
    places: Int64[np.ndarray, "n 2"]
    views: _Views


def _cut_frames(
    path: Path, indices: Int64[np.ndarray, "clips t"], preprocessing: Preprocessing, pixels: Pixels
) -> Iterator[_Cut | None]:
    """All frames in order, and those with these numbers cut to views; None for what is damaged."""
    channels, side = len(preprocessing.mean), preprocessing.crop
    unseen = np.empty((0, channels, side, side), np.float32)
    number = 0
    for decoded in _frames(path):
        if decoded is None:
            yield None
            continue
        frame, shown = decoded
        places, views = np.argwhere(indices == number), unseen
        if len(places):
            views = crops(
                _picture(frame, shown, PIXEL_FORMATS[channels], pixels)[None],
                preprocessing.scale(preprocessing.num_crops),
                side,
                num_crops=preprocessing.num_crops,
                mean=preprocessing.mean,
                std=preprocessing.std,
                channel_order=preprocessing.channel_order,
                antialias=preprocessing.antialias,
            )[:, 0]
        yield _Cut(frame, shown, places, views)
        number += 1


def _decode(
    path: Path,
    indices: Int64[np.ndarray, "clips t"],
    footage: _Footage,
    preprocessing: Preprocessing,
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
    video = np.empty((clips, preprocessing.num_crops, t, channels, side, side), np.float32)
    times: list[float | None] = []
    damaged = False
    for cut in _cut_frames(path, indices, preprocessing, pixels):
        if cut is None:
            damaged = True
            continue
        for clip, position in cut.places:
            video[clip, :, position] = cut.views
        times.append(cut.frame.time)
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


def _small_picture(frame: av.VideoFrame, shown: _Display) -> UInt8[np.ndarray, "H W 3"]:
    """A frame as a viewer sees it, its longer side `PICTURE_SIZE`."""
    width = float(frame.width * shown.aspect)
    scale = PICTURE_SIZE / max(width, frame.height)
    small = frame.reformat(
        width=max(round(width * scale), 1),
        height=max(round(frame.height * scale), 1),
        format="rgb24",
        interpolation="AREA",
    )
    return _upright(small.to_ndarray(), shown)


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
