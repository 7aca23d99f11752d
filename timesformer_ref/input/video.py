"""Read clips and windows from video files."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from einops import rearrange
from jaxtyping import Float32, Int64, UInt8

from timesformer_ref.input import decoding
from timesformer_ref.input.decoding import VideoError, VideoWarning
from timesformer_ref.input.display import PIXEL_FORMATS, Display, frame_pixels, thumbnail
from timesformer_ref.input.preprocessing import Pixels, Preprocessing
from timesformer_ref.input.sampling import at_least_one, frame_indices, segment_indices, windows
from timesformer_ref.input.survey import Footage, Stamps, frame_times, survey
from timesformer_ref.input.views import crops

KINETICS = Preprocessing()
"""The input of the smallest published checkpoint: 8 frames at rate 32, 224 pixels."""


Numbers = Int64[np.ndarray, "*shape"]


class Clip(NamedTuple):
    """The input of a model from one video.

    video: the views, all crops of clip 0 first, then those of clip 1, and so on.
    frames: for each clip, the numbers of its frames in the video.
    """

    video: Float32[np.ndarray, "v t c H W"]
    frames: list[list[int]]


class Window(NamedTuple):
    """A part of a video, and the model's input from it.

    start, end: seconds. picture: its first frame, small, as a viewer shows it.
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
    pixels: Pixels | None = None,
) -> Clip:
    """Views of a video file, as the original's test pipeline takes them (`datasets/kinetics.py`).

    preprocessing: what the checkpoint expects; a `mean` of one number reads the video in grey.
    num_clips: how many clips, spread over the video; num_crops: how many crops of each, 3 or 1,
        by default what the checkpoint expects.
    pixels: `stored` counts frames, at the average rate, and takes pixels as they lie in the file:
        as the original does. `display` honours timestamps, pixel aspect and rotation flag: what a
        viewer sees. By default what the checkpoint expects. A video of constant rate gives the
        same frames either way.

    Frames are decoded in order and each is cut to its views at once, so that memory grows with the
    views and not with the video. One clip needs no frame after its last, and damage there is not
    looked for; several clips, and segments, depend on the number of frames, so all are read.
    What cannot be decoded is passed over, as players do: frames are then chosen among those that
    survive.

    Raises VideoError where the file gives no clip, ValueError where the arguments do not make
    sense. Warns with VideoWarning where the file is damaged, and where `stored` pixels differ from
    what a viewer sees.
    """
    p = _check(preprocessing, num_clips, num_crops, pixels)
    path = Path(path)

    def choose(total: int, fps: float) -> Int64[np.ndarray, "clips t"]:
        if p.sampling_rate is None:
            return segment_indices(total, p.num_frames)[None]
        sample = partial(frame_indices, total, fps, p.num_frames, p.sampling_rate)
        return np.stack([sample(clip, num_clips) for clip in range(num_clips)])

    # Where one clip starts does not depend on the number of frames; several, and segments, do.
    rests_on_total = num_clips > 1 or p.sampling_rate is None
    found = _read(path, choose, partial(_views, preprocessing=p), p.pixels, rests_on_total)
    if p.pixels == "stored":
        decoding.warn_of_display(path, found.shown)
    _warn_of_concealed(path, found.concealed, len(found.taken))
    survivors, promised = len(found.footage.times), found.footage.promised
    if survivors < promised:
        counts = f"{path}: {promised} frames are promised, but {survivors} can be decoded"
        if survivors < p.num_frames:
            raise VideoError(f"{counts}, too few for {p.num_frames}: get an undamaged copy")
        warnings.warn(f"{counts}; the clip is taken from these", VideoWarning, stacklevel=2)
    shape = (num_clips, p.num_crops, p.num_frames, len(p.mean), p.crop, p.crop)
    video = np.empty(shape, np.float32)
    for number in list(found.taken):
        video.swapaxes(1, 2)[found.indices == number] = found.taken.pop(number)
    views = rearrange(video, "clips crops t c h w -> (clips crops) t c h w")
    return Clip(views, found.indices.tolist())


def read_windows(
    path: str | os.PathLike[str],
    preprocessing: Preprocessing = KINETICS,
    *,
    every: float | None = None,
    pixels: Pixels | None = None,
) -> Iterator[Window]:
    """Yield clips along a whole video, each as soon as its last frame is decoded.

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
    p = _check(preprocessing, 1, None, pixels)
    if p.sampling_rate is None:
        raise ValueError(
            "windows with segments (sampling_rate None): segments span the whole video, so give a "
            "sampling_rate (--rate N)"
        )
    path = Path(path)
    footage = survey(path, timed=p.pixels == "display")
    total, fps = _moments(footage, p.pixels), footage.fps
    seconds, moments = windows(total, fps, p.num_frames, p.sampling_rate, every)
    indices = _shown(footage, moments, p.pixels)
    views: defaultdict[int, dict[int, np.ndarray]] = defaultdict(dict)  # of each window by position
    pictures: dict[int, UInt8[np.ndarray, "H W 3"]] = {}

    def take_out(window: int) -> Window:
        found = views.pop(window)
        in_order = [found.get(t, found[max(found)]) for t in range(p.num_frames)]
        clip = Clip(np.stack(in_order, axis=1), [indices[window].tolist()])
        start, end = seconds[window].tolist()
        return Window(start, end, clip, pictures.pop(window), len(indices))

    done = decoded = concealed = 0
    for frame, shown in filter(None, decoding.decode_frames(path)):
        if not decoded and p.pixels == "stored":
            decoding.warn_of_display(path, shown)
        places = np.argwhere(indices == decoded).tolist()
        if places:
            cuts = _views(frame, shown, p)
            concealed += frame.is_corrupt
        for window, position in places:
            if window not in views:
                pictures[window] = thumbnail(frame, shown)
            views[window][position] = cuts
        decoded += 1
        while done < len(indices) and indices[done].max() < decoded:
            yield take_out(done)
            done += 1
    _warn_of_concealed(path, concealed, len(np.unique(indices)))
    if decoded < footage.promised:
        if not decoded:
            raise decoding.no_frame(path)
        message = f"{path}: {footage.promised} frames are promised, but {decoded} can be decoded"
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
    """Whole frames of a video, for training to crop at random.

    choose: given the number of frames and how many are shown per second, returns the numbers of
        those wanted; called again if others can be decoded than the file promises.
    channels: 3 for colour, 1 for grey. pixels: as for `read_clip`.
    Raises VideoError where the file gives no frame.
    """
    whole = partial(frame_pixels, channels=channels, pixels=pixels)
    found = _read(Path(path), choose, whole, pixels)
    return [found.taken[number] for number in found.indices.tolist()]


def _views(
    frame: av.VideoFrame, shown: Display, preprocessing: Preprocessing
) -> Float32[np.ndarray, "crops c crop crop"]:
    pixels = frame_pixels(frame, shown, len(preprocessing.mean), preprocessing.pixels)
    return cut(pixels, preprocessing)


def cut(
    picture: UInt8[np.ndarray, "H W c"], preprocessing: Preprocessing
) -> Float32[np.ndarray, "crops c crop crop"]:
    """A frame's crops as a checkpoint expects them (see `crops`)."""
    p, names = preprocessing, ("num_crops", "mean", "std", "channel_order", "antialias")
    settings = {name: getattr(p, name) for name in names}
    return crops(picture[None], p.scale(p.num_crops), p.crop, **settings)[:, 0]


def _check(
    preprocessing: Preprocessing, num_clips: int, num_crops: int | None, pixels: Pixels | None
) -> Preprocessing:
    """The preprocessing with what the caller asks for. Raises ValueError where it is impossible."""
    asked = {"num_crops": num_crops, "pixels": pixels}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    preprocessing = replace(preprocessing, **given)
    channels = len(preprocessing.mean)
    if channels not in PIXEL_FORMATS:
        raise ValueError(f"mean has {channels} numbers: use 3 for colour or 1 for grey frames")
    at_least_one(num_clips=num_clips)
    if num_clips > 1 and preprocessing.sampling_rate is None:
        raise ValueError(
            f"num_clips {num_clips} with segments (sampling_rate None): segments span the whole "
            "video, so use num_clips 1"
        )
    return preprocessing


class _Taken(NamedTuple):
    """What was taken of the frames with these numbers, each by its number.

    footage: the frames that can be decoded. concealed: how many of the frames taken were damaged,
    so that the decoder made them up. shown: how a viewer shows them.
    """

    indices: Numbers
    taken: dict[int, np.ndarray]
    footage: Footage
    concealed: int
    shown: Display


def _read(
    path: Path,
    choose: Callable[[int, float], Numbers],
    take: Callable[[av.VideoFrame, Display], np.ndarray],
    pixels: Pixels,
    to_the_end: bool = False,
) -> _Taken:
    """Take what is wanted of the chosen frames, in one pass over a video, or two.

    choose: as for `read_frames`. Decoding stops after the last of these frames, unless `to_the_end`
    is set or the video proves damaged or other than surveyed: then they are chosen again, among
    those that were decoded.
    """
    footage = survey(path, timed=pixels == "display")
    for last_pass in (False, True):
        indices = _shown(footage, choose(_moments(footage, pixels), footage.fps), pixels)
        taken: dict[int, np.ndarray] = {}
        times: list[float | None] = []
        concealed, whole = 0, to_the_end
        for decoded in decoding.decode_frames(path):
            if decoded is None:
                whole = True  # it is damaged
                continue
            frame, shown = decoded
            if len(times) in indices:
                taken[len(times)] = take(frame, shown)
                concealed += frame.is_corrupt
            times.append(frame.time)
            if not whole and len(times) > indices.max():
                if _agree(times, footage, pixels, so_far=True):
                    return _Taken(indices, taken, footage, concealed, shown)
                whole = True
        if last_pass or _agree(times, footage, pixels):
            break
        footage = footage._replace(times=frame_times(times, footage.fps, path))
    if len(times) <= indices.max():
        raise VideoError(f"{path}: two passes decoded different frames; get an undamaged copy")
    return _Taken(indices, taken, footage, concealed, shown)


def _moments(footage: Footage, pixels: Pixels) -> int:
    """The number of moments to sample from.

    `stored` samples the frames. `display` samples an even grid of moments, one per frame at the
    average rate, and takes what is shown in the middle of each: so rounded timestamps do not
    matter, and at a constant rate the moments are the frames.
    """
    if pixels == "stored":
        return len(footage.times)
    return round((footage.times[-1] - footage.times[0]) * footage.fps) + 1


def _shown(footage: Footage, moments: Numbers, pixels: Pixels) -> Numbers:
    """The numbers of the frames at these moments."""
    if pixels == "stored":
        return moments
    seconds = footage.times - footage.times[0]
    return np.searchsorted(seconds, (moments + 0.5) / footage.fps, side="right") - 1


def _warn_of_concealed(path: Path, concealed: int, frames: int) -> None:
    """Warn where the decoder made up some of the frames that were taken."""
    if concealed:
        message = f"{path}: {concealed} of the {frames} frames used are damaged"
        warnings.warn(f"{message}; the decoder made up parts of them", VideoWarning, stacklevel=3)


def _agree(times: Stamps, footage: Footage, pixels: Pixels, so_far: bool = False) -> bool:
    """Whether the decoded frames are those that were surveyed: as many, and for `display` as timed.

    A decoder silently drops frames if it lacks those that they are predicted from.
    """
    surveyed = footage.times[: len(times)] if so_far else footage.times
    if len(times) != len(surveyed) or pixels == "stored":
        return len(times) == len(surveyed)
    if None in times:
        return True  # there is nothing better to go by than the survey
    found = np.array(times, np.float64)
    return np.allclose(found - found[0], surveyed - surveyed[0], rtol=0, atol=0.5 / footage.fps)
