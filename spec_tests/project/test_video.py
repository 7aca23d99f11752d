"""Video files, good and bad, to clips."""

from __future__ import annotations

import gc
import json
import tracemalloc
import warnings
import wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest

from spec_tests.project.tiny import count_decoded
from timesformer_ref.input import video as video_module
from timesformer_ref.input.decoding import VideoError, VideoWarning
from timesformer_ref.input.display import Display, frame_pixels
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices, segment_indices
from timesformer_ref.input.video import read_clip
from timesformer_ref.input.views import crops

GOLDEN = Path(__file__).parents[1] / "golden"
VIDEOS = Path(__file__).parents[2] / "../shared/videos"

STEP = 4
"""Brightness between one frame and the next: the number of a frame follows from its brightness."""

SHORT = Preprocessing(num_frames=4, sampling_rate=4, crop=16)
SEGMENTS = Preprocessing(num_frames=4, sampling_rate=None, crop=16)

ONE = 1 << 16
"""The number 1 in a display matrix."""


def numbered(total, size=(32, 24)):
    """Frames, W H in size, whose brightness is their number."""
    width, height = size
    return [np.full((height, width, 3), STEP * i, np.uint8) for i in range(total)]


def write(
    path,
    frames,
    *,
    codec="mpeg4",
    rate=30,
    stamps=None,
    aspect=Fraction(1),
    matrix=None,
    muxer=None,
    encoder=None,
    title="",
    stream_title="",
):
    """Encode frames; `stamps` are their times in ticks of 1 / rate, where they are uneven."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, options=encoder or {})
        stream.metadata["title"] = stream_title
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.bit_rate = 4_000_000
        if matrix is not None:
            stream.set_display_matrix([*matrix[:2], 0, *matrix[2:], 0, 0, 0, 1 << 30])
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = i if stamps is None else stamps[i]
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truncate(path, part):
    """Keep the first `part` of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def seen(clip, num_crops=3):
    """The frame numbers that the pixels of each clip show."""
    pixels = (clip.video * 0.225 + 0.45) * 255
    numbers = np.rint(pixels.mean(axis=(2, 3, 4)) / STEP).astype(int)
    assert (numbers.reshape(-1, num_crops, numbers.shape[1]).std(axis=1) == 0).all()
    return numbers[::num_crops].tolist()


@pytest.fixture
def movie(tmp_path):
    """Sixty numbered frames at 30 a second."""
    return write(tmp_path / "movie.mp4", numbered(60))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mpeg4"),
        ("b-frames.mp4", "libx264"),
        ("b-frames.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.ts", "mpeg2video"),
        ("a.webm", "libvpx"),
        ("raw.h264", "libx264"),
        ("12:30, 100%.mp4", "mpeg4"),
    ],
)
def test_frames_are_counted_in_the_order_of_display(tmp_path, name, codec):
    clip = read_clip(write(tmp_path / name, numbered(40), codec=codec), SHORT)
    assert clip.frames == [frame_indices(40, 30.0, 4, 4).tolist()]
    assert seen(clip) == clip.frames


@pytest.mark.parametrize(
    ("name", "of"), [("a.avi", "file"), ("a.mkv", "file"), ("a.mkv", "stream")]
)
def test_a_title_in_another_encoding_does_no_harm(tmp_path, name, of):
    path = write(
        tmp_path / name, numbered(20), **{"title" if of == "file" else "stream_title": "Caf?"}
    )
    data = path.read_bytes()
    assert b"Caf?" in data
    path.write_bytes(data.replace(b"Caf?", "Café".encode("latin-1")))
    assert read_clip(path, SHORT).frames == [[0, 5, 10, 15]]


def test_all_crops_of_a_clip_come_before_the_next_clip(movie):
    clip = read_clip(movie, SHORT, num_clips=3)
    assert clip.video.shape == (9, 4, 3, 16, 16)
    assert clip.video.dtype == np.float32
    assert clip.frames == [frame_indices(60, 30.0, 4, 4, i, 3).tolist() for i in range(3)]
    assert seen(clip) == clip.frames


def test_segments_span_the_video(movie):
    clip = read_clip(movie, SEGMENTS)
    assert clip.frames == [segment_indices(60, 4).tolist()]
    assert seen(clip) == clip.frames


def test_one_crop_uses_the_single_crop_scale(tmp_path):
    path = write(tmp_path / "a.mp4", [np.tile(np.arange(0, 240, 5, np.uint8)[:, None], (24, 1, 3))])
    wide = read_clip(path, SHORT, num_crops=1).video
    narrow = read_clip(path, Preprocessing(4, 4, 16, single_crop_scale=48), num_crops=1).video
    assert wide.shape == (1, 4, 3, 16, 16)
    assert np.ptp(wide) > 1.5 * np.ptp(narrow)


@pytest.mark.parametrize("total", [1, 2, 5])
def test_a_video_shorter_than_its_clip_repeats_its_last_frame(tmp_path, total):
    clip = read_clip(write(tmp_path / "short.mp4", numbered(total)), SHORT, num_clips=2)
    assert clip.frames == [frame_indices(total, 30.0, 4, 4, i, 2).tolist() for i in range(2)]
    assert clip.frames[0][-1] == total - 1
    assert seen(clip) == clip.frames


def test_another_frame_rate_is_stretched_to_thirty(tmp_path):
    clip = read_clip(write(tmp_path / "slow.mp4", numbered(40), rate=15), SHORT)
    assert clip.frames == [[0, 2, 4, 7]]
    assert seen(clip) == clip.frames


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path, codec):
    path = write(tmp_path / "cut.mp4", numbered(40), codec=codec, stamps=range(-10, 30))
    clip = read_clip(path, SEGMENTS)
    assert clip.frames == [segment_indices(30, 4).tolist()]
    assert np.array_equal(seen(clip), np.array(clip.frames) + 10)


def test_grey_and_bgr_models_get_their_channels(tmp_path):
    red = np.full((24, 32, 3), (200, 40, 40), np.uint8)
    path = write(tmp_path / "red.mp4", [red] * 4)
    rgb = read_clip(path, SHORT).video
    bgr = read_clip(path, Preprocessing(4, 4, 16, channel_order="bgr")).video
    grey = read_clip(path, Preprocessing(4, 4, 16, mean=(0.45,), std=(0.225,))).video
    np.testing.assert_array_equal(bgr, rgb[:, :, ::-1])
    assert (rgb[:, :, 0] > rgb[:, :, 2] + 2).all()
    assert grey.shape == (3, 4, 1, 16, 16)
    luma = 0.299 * 200 + 0.587 * 40 + 0.114 * 40
    np.testing.assert_allclose((grey * 0.225 + 0.45) * 255, luma, atol=4)


# What a viewer sees


def corner_marked(size=(64, 32)):
    """A picture none of whose eight orientations are the same."""
    width, height = size
    picture = np.full((height, width, 3), 100, np.uint8)
    picture[: height // 2, : width // 4] = (250, 20, 20)
    return picture


ORIENTATIONS = {
    # A phone held upright: its matrix sends (x, y), y down, to (-y, x).
    "quarter turn clockwise": ((0, ONE, -ONE, 0), lambda p: np.rot90(p, -1)),
    "quarter turn counter-clockwise": ((0, -ONE, ONE, 0), lambda p: np.rot90(p, 1)),
    "half turn": ((-ONE, 0, 0, -ONE), lambda p: np.rot90(p, 2)),
    "mirrored": ((-ONE, 0, 0, ONE), np.fliplr),
    "upside down": ((ONE, 0, 0, -ONE), np.flipud),
    "transposed": ((0, ONE, ONE, 0), lambda p: p.swapaxes(0, 1)),
    "transposed and half turned": ((0, -ONE, -ONE, 0), lambda p: np.rot90(p, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_display_turns_frames_as_a_viewer_does(tmp_path, name):
    matrix, turn = ORIENTATIONS[name]
    path = write(tmp_path / "turned.mp4", [corner_marked()] * 4, matrix=matrix)
    clip = read_clip(path, SHORT, pixels="display")
    expected = crops(turn(corner_marked())[None], 16, 16)
    assert np.abs(clip.video - expected).mean() < 0.1


def test_pyav_agrees_on_the_direction_of_a_turn(tmp_path):
    matrix, _ = ORIENTATIONS["quarter turn counter-clockwise"]
    with av.open(str(write(tmp_path / "turned.mp4", numbered(1), matrix=matrix))) as container:
        assert next(container.decode(video=0)).rotation == 90


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(64, 51)])
def test_display_makes_pixels_square(tmp_path, aspect):
    path = write(tmp_path / "wide.mp4", [corner_marked()] * 4, aspect=aspect)
    clip = read_clip(path, SHORT, pixels="display")
    expected = crops(corner_marked((round(64 * aspect), 32))[None], 16, 16)
    assert np.abs(clip.video - expected).mean() < 0.1


def test_square_pixels_leave_at_least_one():
    frame = av.VideoFrame(4, 4, "rgb24")
    assert frame_pixels(frame, Display(Fraction(1, 16)), 3, "display").shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"matrix": (0, ONE, -ONE, 0)}, "turned by its rotation flag;"),
        ({"aspect": Fraction(4, 3)}, "with pixels of 4:3, width to height;"),
        (
            {"matrix": (0, ONE, -ONE, 0), "aspect": Fraction(4, 3)},
            "turned by its rotation flag and with pixels of 4:3, width to height;",
        ),
    ],
)
def test_stored_pixels_warn_of_what_a_viewer_sees(tmp_path, flags, words):
    path = write(tmp_path / "odd.mp4", [corner_marked()] * 4, **flags)
    with pytest.warns(VideoWarning, match=words) as caught:
        clip = read_clip(path, SHORT)
    assert len(caught) == 1
    assert "--pixels display" in str(caught[0].message)
    expected = crops(corner_marked()[None], 16, 16)
    assert np.abs(clip.video - expected).mean() < 0.1


def test_display_samples_by_time_where_the_frame_rate_varies(tmp_path):
    stamps = [*range(0, 90, 3), *range(90, 120)]  # 10 frames a second for 3 seconds, then 30
    path = write(tmp_path / "varying.mp4", numbered(60), stamps=stamps)
    seconds = Preprocessing(num_frames=4, sampling_rate=30, crop=16)
    assert read_clip(path, seconds).frames == [[0, 19, 39, 59]]
    clip = read_clip(path, seconds, pixels="display")
    moments = (np.array([0, 19, 39, 59]) + 0.5) / 15  # at 15 frames a second on the average
    shown = [max(i for i, stamp in enumerate(stamps) if stamp / 30 <= m) for m in moments]
    assert clip.frames == [shown] == [[0, 13, 26, 59]]
    assert seen(clip) == clip.frames


@pytest.mark.parametrize("rate", [15, 24, 30, 60])
@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
def test_display_chooses_the_same_frames_at_a_constant_rate(tmp_path, rate, suffix):
    path = write(tmp_path / f"even.{suffix}", numbered(50), rate=rate)
    stored = read_clip(path, SHORT, num_clips=3)
    display = read_clip(path, SHORT, num_clips=3, pixels="display")
    assert display.frames == stored.frames
    np.testing.assert_array_equal(display.video, stored.video)


# Time and memory


def test_decoding_stops_at_the_last_frame_that_is_needed(movie, monkeypatch):
    decoded = count_decoded(monkeypatch)
    assert read_clip(movie, SHORT).frames == [[0, 5, 10, 15]]
    assert decoded == [16]


def test_all_clips_are_read_in_one_pass(movie, monkeypatch):
    decoded = count_decoded(monkeypatch)
    read_clip(movie, SHORT, num_clips=10, pixels="display")
    assert decoded == [60]  # clips rest on the number of frames, so all are decoded, once


def test_a_frame_in_several_clips_is_cut_once(tmp_path, monkeypatch):
    path = write(tmp_path / "short.mp4", numbered(2))
    calls = []
    monkeypatch.setattr(
        video_module, "crops", lambda *args, **kwargs: calls.append(1) or crops(*args, **kwargs)
    )
    read_clip(path, SHORT, num_clips=10)
    assert len(calls) == 2


def test_memory_holds_one_frame_and_the_views(tmp_path):
    path = write(tmp_path / "large.mp4", numbered(40, size=(480, 320)))
    every = Preprocessing(num_frames=40, sampling_rate=1, crop=16)
    read_clip(path, every)
    tracemalloc.start()
    clip = read_clip(path, every)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    frame_as_floats = 480 * 320 * 3 * 4
    assert len(set(clip.frames[0])) == 40
    assert peak < clip.video.nbytes + 3 * frame_as_floats < 40 * 480 * 320 * 3


@pytest.mark.parametrize("pixels", ["stored", "display"])
def test_decoded_frames_are_let_go_at_once(tmp_path, monkeypatch, pixels):
    path = write(tmp_path / "turned.mp4", numbered(60), matrix=ORIENTATIONS["half turn"][0])
    every = Preprocessing(num_frames=60, sampling_rate=1, crop=16)
    alive = []

    def counted(*args, **kwargs):
        alive.append(sum(type(thing) is av.VideoFrame for thing in gc.get_objects()))
        return crops(*args, **kwargs)

    monkeypatch.setattr(video_module, "crops", counted)
    gc.collect()
    gc.freeze()  # what was there before is not counted
    gc.disable()  # so that only what nothing refers to is let go
    try:
        with warnings.catch_warnings(action="ignore", category=VideoWarning):
            read_clip(path, every, pixels=pixels)
    finally:
        gc.enable()
        gc.unfreeze()
    assert max(alive) - min(alive) < 10


# Damaged files


def test_frames_are_chosen_among_those_that_a_truncated_avi_holds(tmp_path):
    path = truncate(write(tmp_path / "cut.avi", numbered(60)), 0.6)
    with pytest.warns(VideoWarning, match=r"cut.avi: 60 frames are promised, but \d+ can be") as w:
        clip = read_clip(path, SEGMENTS)
    survivors = int(str(w[0].message).split("but ")[1].split()[0])
    assert 4 < survivors < 60
    assert clip.frames == [segment_indices(survivors, 4).tolist()]
    assert seen(clip)[0][:3] == clip.frames[0][:3]


def test_frames_are_chosen_among_those_that_can_be_decoded(tmp_path, monkeypatch):
    path = write(
        tmp_path / "cut.mp4", numbered(60), codec="libx264", muxer={"movflags": "faststart"}
    )
    decoded = count_decoded(monkeypatch)
    with pytest.warns(VideoWarning, match="60 frames are promised") as caught:
        clip = read_clip(truncate(path, 0.8), SEGMENTS)
    survivors = int(str(caught[0].message).split("but ")[1].split()[0])
    assert clip.frames == [segment_indices(survivors, 4).tolist()]
    assert seen(clip)[0][:3] == clip.frames[0][:3]
    assert len(caught) == 1
    assert len(decoded) == 2  # a first try, and another


def test_a_packet_that_cannot_be_decoded_is_passed_over(tmp_path):
    path = write(tmp_path / "hit.mp4", numbered(60), encoder={"g": "1"})
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        begin, size = packets[20].pos, packets[20].size
    data = bytearray(path.read_bytes())
    data[begin : begin + size] = bytes(size)
    path.write_bytes(data)
    with pytest.warns(VideoWarning, match="60 frames are promised, but 59 can be decoded"):
        clip = read_clip(path, Preprocessing(num_frames=20, sampling_rate=3, crop=16))
    assert clip.frames[0][-1] == 58
    assert seen(clip)[0] == [i if i < 20 else i + 1 for i in clip.frames[0]]


def test_a_file_with_fewer_frames_left_than_a_clip_has_is_refused(tmp_path):
    path = truncate(write(tmp_path / "stub.avi", numbered(60)), 0.6)
    with pytest.raises(VideoError, match=r"60 frames are promised, but \d+ .* too few for 64"):
        read_clip(path, Preprocessing(num_frames=64, crop=16))


# Files that are no videos, and arguments that make no sense


def silence(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))


def no_frames(path):
    data = write(path, numbered(3)).read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])


NO_VIDEOS = {
    "nothing.mp4": (lambda path: None, "no such file"),
    "directory.mp4": (Path.mkdir, "is a directory"),
    "empty.mp4": (Path.touch, "is empty"),
    "notes.txt": (lambda path: path.write_text("words\n" * 99), "is no video"),
    "notes.mp4": (lambda path: path.write_text("words\n" * 99), "is no video"),
    "zeros.mp4": (lambda path: path.write_bytes(bytes(9999)), "is no video"),
    "sound.wav": (silence, "holds no video stream"),
    "headless.mp4": (lambda path: truncate(write(path, numbered(60)), 0.5), "is no video"),
    "no frames.avi": (no_frames, "no frame of it can be decoded"),
}


@pytest.mark.parametrize("name", NO_VIDEOS)
@pytest.mark.parametrize("pixels", ["stored", "display"])
def test_what_is_no_video_is_refused_in_one_clear_line(tmp_path, capfd, name, pixels):
    make, words = NO_VIDEOS[name]
    make(tmp_path / name)
    with pytest.raises(VideoError) as caught:
        read_clip(tmp_path / name, SHORT, pixels=pixels)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: {words}")
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("preprocessing", "arguments", "words"),
    [
        (SEGMENTS, {"num_clips": 2}, "segments span the whole video"),
        (SHORT, {"num_clips": 0}, "num_clips 0 is impossible"),
        (SHORT, {"num_crops": 2}, "num_crops 2 is impossible"),
        (Preprocessing(mean=(0.5, 0.5), std=(0.5, 0.5)), {}, "mean has 2 numbers"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(movie, preprocessing, arguments, words):
    with pytest.raises(ValueError, match=words):
        read_clip(movie, preprocessing, **arguments)


# Real files


@pytest.mark.filterwarnings("ignore::timesformer_ref.input.video.VideoWarning")  # 64:51 pixels
@pytest.mark.parametrize(
    ("name", "total", "fps"), [("demo.mp4", 280, 28.0), ("example.avi", 131, 25.0)]
)
def test_real_frames_are_those_that_the_original_samples(monkeypatch, name, total, fps):
    if not VIDEOS.exists():
        pytest.skip("the two real videos are not here")
    pictures = {}

    def seen_crops(frames, *args, **kwargs):
        pictures[len(pictures)] = frames.mean()
        return crops(frames, *args, **kwargs)

    monkeypatch.setattr(video_module, "crops", seen_crops)
    clip = read_clip(VIDEOS / name)
    assert clip.frames == [frame_indices(total, fps, 8, 32).tolist()]
    distinct = sorted(set(clip.frames[0]))
    means = [pictures[distinct.index(number)] for number in clip.frames[0]]
    golden = json.loads((GOLDEN / "end_to_end.json").read_text())["videos"][name]
    np.testing.assert_allclose(means, golden["frame_means"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("pixels", ["stored", "display"])
def test_damage_in_the_middle_is_told_and_frames_are_chosen_among_the_survivors(tmp_path, pixels):
    path = write(tmp_path / "x.avi", numbered(60), encoder={"g": "1"})
    data = bytearray(path.read_bytes())
    with av.open(path) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets[20:30]:
        data[position + 8 : position + size] = bytes(size - 8)
    path.write_bytes(data)
    with pytest.warns(VideoWarning, match="60 frames are promised, but 50 can be decoded"):
        clip = read_clip(path, Preprocessing(num_frames=8, sampling_rate=6, crop=16), pixels=pixels)
    assert max(clip.frames[0]) < 50


def cut(source, target, packets):
    """The video without its first packets, as a recording that starts in the middle."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(p for p in old.demux(video=0) if p.size):
            if number >= packets:
                packet.stream = stream
                new.mux(packet)
    return target


@pytest.mark.parametrize("pixels", ["stored", "display"])
@pytest.mark.parametrize(
    ("preprocessing", "clips"),
    [(SHORT, 1), (SHORT, 3), (SEGMENTS, 1)],
    ids=["one", "3", "segments"],
)
def test_frames_that_a_decoder_drops_in_silence_are_not_counted(
    tmp_path, preprocessing, clips, pixels
):
    options = {"x264-params": "keyint=12:bframes=3:scenecut=0:open-gop=1"}
    whole = write(tmp_path / "whole.mkv", numbered(60), codec="libx264", encoder=options)
    path = cut(whole, tmp_path / "cut.mkv", 8)
    with av.open(path) as container:
        survivors = sum(1 for _ in container.decode(video=0))
    assert survivors < 52, "the decoder drops frames"
    with warnings.catch_warnings(action="ignore"):
        found = read_clip(path, preprocessing, num_clips=clips, pixels=pixels).frames
    if preprocessing is SEGMENTS:
        expected = [segment_indices(survivors, 4).tolist()]
    else:
        expected = [frame_indices(survivors, 30.0, 4, 4, i, clips).tolist() for i in range(clips)]
    assert found == expected


def test_a_process_with_a_thread_that_has_read_a_video_can_fork_as_loaders_do(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(40, (256, 256)))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(read_clip, path, SHORT).result()
        child = get_context("fork").Process(target=int)
        with warnings.catch_warnings(action="ignore"):  # of forking with threads
            child.start()
        child.join(20)
        ended = child.exitcode
        child.kill()
    assert ended == 0
