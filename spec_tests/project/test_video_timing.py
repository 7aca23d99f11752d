"""Videos whose times, rates or packets mislead: read in two passes at most, or with a warning."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from spec_tests.project.test_video import SHORT, numbered, seen, write
from spec_tests.project.tiny import count_decoded
from timesformer_ref.input import survey as survey_module
from timesformer_ref.input.decoding import VideoError, VideoWarning, decode_frames
from timesformer_ref.input.survey import Footage, frame_rate, frame_times, hold_fields, survey
from timesformer_ref.input.video import _agree, read_clip, read_frames, read_windows

CASES = Path(__file__).parents[3] / "shared" / "cases"
PATH = Path("a.ts")


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """Two segments joined: the times of the second start where those of the first did."""
    path = write(tmp_path_factory.mktemp("joined") / "a.ts", numbered(30), codec="mpeg2video")
    path.write_bytes(2 * path.read_bytes())
    return path


@pytest.mark.parametrize("pixels", ["stored", "display"])
def test_times_that_fall_back_are_read_in_two_passes(joined, pixels, monkeypatch):
    decoded = count_decoded(monkeypatch)
    clip = read_clip(joined, SHORT, pixels=pixels)
    assert clip.frames == seen(clip) == [[0, 5, 10, 15]]
    assert len(decoded) <= 2


def test_no_input_makes_a_third_pass(joined, monkeypatch):
    decoded = count_decoded(monkeypatch)
    monkeypatch.setattr("timesformer_ref.input.video._agree", lambda *_, **__: False)
    read_clip(joined, SHORT, pixels="display")
    assert len(decoded) == 2
    chosen = read_frames(joined, lambda total, fps: np.array([total - 1]), pixels="display")
    assert len(chosen) == 1
    assert len(decoded) <= 4


def test_decoded_times_that_differ_by_less_than_half_a_frame_are_those_surveyed():
    footage = Footage(np.array([0.0, 0.04, 0.08]), 25.0, 3)
    assert _agree([7.0, 7.041, 7.08], footage, "display")
    assert not _agree([7.0, 7.061, 7.08], footage, "display")


def test_frames_of_joined_segments_are_counted_on(joined):
    assert len(survey(joined).times) == 60
    assert frame_times([0.0, 0.1, 0.0, 0.1], 10.0, PATH).tolist() == pytest.approx(
        [0, 0.1, 0.2, 0.3]
    )


def test_fields_are_two_packets_to_a_frame():
    stamps = [n / 50 for n in range(100)]
    assert hold_fields(stamps, 25.0)
    assert not hold_fields(stamps, 50.0)
    assert not hold_fields([None] * 100, 25.0)
    assert not hold_fields(sorted(2 * stamps[:50:2]), 25.0)
    bursts = [n / 50 + second for second in range(4) for n in range(25)]  # 25 a second on average
    assert not hold_fields(bursts, 25.0)


def test_a_rate_that_the_packets_contradict_is_not_believed():
    stamps = [n / 25 for n in range(50)]
    assert frame_rate(stamps, [60000.0, 25.0]) == 25
    assert frame_rate(stamps, [24.0, 60000.0]) == 24
    assert frame_rate(stamps, [25.0]) == 25
    assert frame_rate(stamps[:1], [60000.0, 25.0]) == 60000
    assert frame_rate(stamps, []) is None


def test_raw_digital_video_has_25_frames_a_second(tmp_path):
    path = tmp_path / "a.dv"
    with av.open(str(path), "w", format="dv") as container:
        stream = container.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        assert sound.rate == 48000
        for number in range(3):
            picture = np.full((576, 720, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            samples = np.zeros((1, 2 * 1920), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate = 48000
            container.mux(sound.encode(frame))
    assert survey(path).fps == 25


def test_raw_streams_have_the_rate_of_their_header(tmp_path):
    for name, codec in (("a.h264", "libx264"), ("a.m2v", "mpeg2video"), ("a.m4v", "mpeg4")):
        assert survey(write(tmp_path / name, numbered(20), codec=codec, rate=50)).fps == 50


def both_ways(path, pixels="stored"):
    """The frames of a clip and the number of windows, read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_clip(path, SHORT, pixels=pixels).frames, len([*read_windows(path, SHORT)])


def test_frames_that_an_avi_repeats_are_not_missed(tmp_path):
    stamps = [2 * number for number in range(40)]
    path = write(tmp_path / "a.avi", numbered(40), stamps=stamps)
    assert both_ways(path) == ([[0, 5, 10, 15]], 3)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"idx1")])  # as one that was never closed
    assert both_ways(path) == ([[0, 5, 10, 15]], 3)


def test_a_number_that_a_pipe_left_open_is_not_believed(tmp_path):
    class Pipe:
        def __init__(self, file):
            self.write = file.write

    path = tmp_path / "a.avi"
    with path.open("wb") as file, av.open(Pipe(file), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for picture in numbered(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    assert both_ways(path) == ([[0, 5, 10, 15]], 3)


def test_a_cut_file_names_the_same_numbers_as_a_clip_and_as_windows(tmp_path):
    path = write(tmp_path / "a.avi", numbered(40))
    data = path.read_bytes()
    path.write_bytes(data[: (data.index(b"movi") + len(data)) // 2])
    said = []
    for read in (lambda: read_clip(path, SHORT, num_clips=2), lambda: [*read_windows(path, SHORT)]):
        with pytest.warns(VideoWarning, match="frames are promised") as caught:
            read()
        said += [str(w.message).partition(";")[0] for w in caught if "promised" in str(w.message)]
    assert len(said) == 2
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("muxer", "listed"),
    [({}, True), ({"movflags": "faststart"}, True), ({"movflags": "frag_keyframe"}, False),
     ({"movflags": "frag_keyframe+empty_moov"}, False)],
)  # fmt: skip
def test_an_index_of_all_frames_is_enough(tmp_path, monkeypatch, muxer, listed):
    path = write(tmp_path / "a.mp4", numbered(60), codec="libx264", muxer=muxer, encoder={"g": "9"})
    expected, read = survey(path), []
    packets = survey_module.packets
    monkeypatch.setattr(survey_module, "packets", lambda *_: read.append(1) or packets(*_))
    found = survey(path, timed=False)
    assert read == ([] if listed else [1])
    assert (len(found.times), *found[1:]) == (len(expected.times), *expected[1:])
    assert np.ptp(found.times) == pytest.approx(np.ptp(expected.times))


def test_of_several_video_streams_the_default_one_is_read(tmp_path):
    path, kinds = tmp_path / "a.mkv", av.stream.Disposition
    with av.open(str(path), "w") as container:
        streams = []
        for side, flag in ((32, 0), (64, kinds.default)):
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
            stream.disposition = flag
            streams.append(stream)
        for number in range(20):
            for stream in streams:
                picture = np.full((stream.height, stream.width, 3), 5 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        for stream in streams:
            container.mux(stream.encode())
    with pytest.warns(VideoWarning, match="has 2 video streams; number 1 is read, of 64 × 64"):
        read_clip(path, SHORT)


def test_one_picture_is_named_as_one(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(1))
    with pytest.warns(VideoWarning, match=r"a.mp4: has one frame, which fills the clip"):
        assert read_clip(path, SHORT).frames == [[0, 0, 0, 0]]


@pytest.fixture
def locked(tmp_path):
    """An encrypted video."""
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": 32 * "7"}
    muxer = key | {"encryption_kid": 32 * "a"}
    return write(tmp_path / "a.mp4", numbered(20), codec="libx264", muxer=muxer)


@pytest.fixture
def moving(tmp_path):
    """An animated WebP, at 10 frames a second."""
    first, *others = [Image.fromarray(picture) for picture in numbered(5)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, lossless=True)
    return tmp_path / "a.webp"


def refused(path, words):
    for read in (read_clip, lambda *given: [*read_windows(*given)]):
        with (
            warnings.catch_warnings(action="ignore", category=VideoWarning),
            pytest.raises(VideoError, match=words),
        ):
            read(path, SHORT)


def test_an_encrypted_video_is_named_as_such(locked):
    refused(locked, "is encrypted; get a copy")


def test_animated_webp_is_read_or_named_as_such(moving):
    if "webp_anim" in av.formats_available:  # since FFmpeg 9
        assert both_ways(moving)[0] == [[0, 1, 2, 4]]  # at 10 a second a clip spans 5 1/3 frames
    else:
        refused(moving, "no animated WebP")


def test_pixels_that_are_all_but_square_are_square(tmp_path):
    path = write(tmp_path / "a.mkv", numbered(20), aspect=Fraction(1281, 1280))
    assert both_ways(path)[0] == [[0, 5, 10, 15]]


def damaged(path):
    """The frames that the decoder flags."""
    return [number for number, (frame, _) in enumerate(filter(None, decode_frames(path)))
            if frame.is_corrupt]  # fmt: skip


@pytest.fixture(scope="module")
def bitrot(tmp_path_factory):
    """A file of which bits have flipped; some of its first frames are made up by the decoder."""
    path = write(tmp_path_factory.mktemp("bitrot") / "a.ts", numbered(40), codec="libx264")
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        spoilt = data.copy()
        spoilt[rng.integers(len(data) // 8, len(data), 20)] ^= 16
        path.write_bytes(spoilt.tobytes())
        if set(damaged(path)) & {0, 5, 10, 15}:
            return path
    raise AssertionError("no damage was concealed")


def test_frames_that_the_decoder_made_up_are_counted_in_one_warning(bitrot):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = read_clip(bitrot, SHORT).frames[0]
    expected = len(set(frames) & set(damaged(bitrot)))
    said = [str(w.message) for w in caught if "frames used are damaged" in str(w.message)]
    assert len(said) == 1
    assert f"{expected} of the 4 frames used" in said[0]
    with pytest.warns(VideoWarning, match=r"\d+ of the \d+ frames used are damaged"):
        list(read_windows(bitrot, SHORT))


@pytest.mark.skipif(not CASES.is_dir(), reason="files that are not the project's to publish")
def test_files_that_were_read_wrongly_once():
    assert len(survey(CASES / "paff.ts").times) == 50
    assert survey(CASES / "pal.dv").fps == 25
    assert read_clip(CASES / "concat.ts", SHORT, pixels="display").frames
    windows = list(read_windows(CASES / "paff.ts", SHORT))
    assert windows[-1].end == pytest.approx(2.0)
    with pytest.warns(VideoWarning, match="damaged"):
        read_clip(CASES / "bitrot.ts", SHORT)


def test_whole_videos_warn_of_nothing(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(40), codec="libx264")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seen(read_clip(path, SHORT)) == [[0, 5, 10, 15]]
