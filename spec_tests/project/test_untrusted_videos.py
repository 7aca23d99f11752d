"""Videos are not trusted: any file gives an answer or a clear refusal, in time and memory."""

from __future__ import annotations

import gc
import os
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from spec_tests.fuzz import limits
from spec_tests.fuzz.videos import RAW_FIELDS, SHORT, TOTAL, good
from spec_tests.project.test_video import numbered, write
from timesformer_ref.input.decoding import LEFT, VideoError, packets
from timesformer_ref.input.survey import SPARSE, frame_times, survey
from timesformer_ref.input.video import read_clip, read_frames, read_windows

PATH, TASKS = Path("a.mkv"), Path("/proc/self/task")

LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile secret.ts\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_file_that_lists_others_is_no_video(tmp_path, kind):
    write(tmp_path / "secret.ts", numbered(20))
    path = tmp_path / "a.mp4"
    path.write_text(LISTS[kind])
    with pytest.raises(VideoError, match="is no video that FFmpeg can read"):
        read_clip(path, SHORT)


def test_raw_fields_are_two_packets_to_a_frame(tmp_path, monkeypatch):
    path = tmp_path / "a.h264"
    path.write_bytes(good(RAW_FIELDS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_clip(path, SHORT).frames == [[0, 3, 7, 11]]
    footage = survey(path)
    assert len(footage.times) == footage.promised == TOTAL
    assert footage.fps == 30
    monkeypatch.setattr("timesformer_ref.input.survey._unread", lambda *_: 8)  # are fields too
    assert survey(path).promised == TOTAL + 4


def test_times_with_a_gap_of_years_are_not_believed(tmp_path):
    path = write(tmp_path / "a.mkv", numbered(20), codec="ffv1", stamps=[*range(19), 2**36])
    assert len(list(read_windows(path, SHORT, pixels="display"))) == 2
    years, hour = 30.0 * 2**30, SPARSE / 10
    assert frame_times([0.0, 0.1, years], 10.0, PATH).tolist() == pytest.approx([0, 0.1, 0.2])
    assert frame_times([0.0, 0.1, hour], 10.0, PATH).tolist() == [0, 0.1, hour]


@pytest.mark.parametrize(
    ("size", "said"),
    [((16, 4000), "16 × 4000"), ((4000, 16), "4000 × 16"), ((8192, 4112), "8192 × 4112")],
)
def test_frames_that_would_take_gigabytes_are_refused(tmp_path, size, said):
    path = write(tmp_path / "a.mkv", [np.zeros((*size[::-1], 3), np.uint8)], codec="ffv1")
    for read in (read_clip, lambda *given: [*read_windows(*given)]):
        with pytest.raises(VideoError, match=f"a.mkv: has frames of {said} pixels; use a video"):
            read(path, SHORT)


@pytest.mark.parametrize(("aspect", "width"), [(8, 256), (100, 32)])
def test_pixels_of_an_impossible_aspect_are_square(tmp_path, aspect, width):
    path = write(tmp_path / "a.mkv", numbered(4), aspect=Fraction(aspect))
    seen = read_frames(path, lambda *_: np.array([0]), pixels="display")
    assert seen[0].shape == (24, width, 3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("error", [IndexError(), av.error.InvalidDataError(1, "invalid data")])
def test_a_stream_that_appears_on_the_way_and_damage_end_the_file(error):
    def demux(*_):
        yield "packet"
        raise error  # as PyAV does

    assert list(packets(SimpleNamespace(demux=demux), None)) == ["packet"]


@pytest.mark.skipif(not TASKS.is_dir(), reason="the system does not list a process's threads")
def test_decoders_of_many_videos_are_let_go(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(20))

    def threads():
        return len(os.listdir(TASKS))

    read_clip(path, SHORT)  # starts PyTorch's own threads
    LEFT.clear()
    gc.collect()
    gc.disable()  # Python itself hardly ever collects what has lived for longer
    try:
        before = threads()
        read_clip(path, SHORT)
        each = threads() - before
        for _ in range(50):
            read_clip(path, SHORT)
        assert threads() - before <= 35 * each
    finally:
        gc.enable()


def test_tens_of_made_videos_are_read_or_refused():
    result = limits.fuzz("videos", range(10))
    assert not result["failures"]
    assert result["outcomes"]["read"] > 1
