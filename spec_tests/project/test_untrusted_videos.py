"""Videos are not trusted: any file gives an answer or a clear refusal, in time and memory."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from spec_tests.fuzz import limits
from spec_tests.fuzz.videos import RAW_FIELDS, SHORT, TOTAL, good
from spec_tests.project.test_video import numbered, write
from timesformer_ref.input.decoding import VideoError
from timesformer_ref.input.survey import SPARSE, frame_times, survey
from timesformer_ref.input.video import read_clip, read_windows

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


def test_raw_fields_are_two_packets_to_a_frame(tmp_path):
    path = tmp_path / "a.h264"
    path.write_bytes(good(RAW_FIELDS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_clip(path, SHORT).frames == [[0, 3, 7, 11]]
    footage = survey(path)
    assert len(footage.times) == footage.promised == TOTAL
    assert footage.fps == 30


def test_times_with_a_gap_of_years_are_not_believed(tmp_path):
    path = write(tmp_path / "a.mkv", numbered(20), codec="ffv1", stamps=[*range(19), 2**36])
    assert len(list(read_windows(path, SHORT, pixels="display"))) == 2
    years, hour = 30.0 * 2**30, SPARSE / 10
    assert frame_times([0.0, 0.1, years], 10.0, PATH).tolist() == pytest.approx([0, 0.1, 0.2])
    assert frame_times([0.0, 0.1, hour], 10.0, PATH).tolist() == [0, 0.1, hour]


@pytest.mark.skipif(not TASKS.is_dir(), reason="the system does not list a process's threads")
def test_decoders_of_many_videos_are_let_go(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(20))

    def threads():
        return len(os.listdir(TASKS))

    before = threads()
    read_clip(path, SHORT)
    each = threads() - before
    for _ in range(40):
        read_clip(path, SHORT)
    assert threads() - before <= 33 * each


def test_tens_of_made_videos_are_read_or_refused():
    result = limits.fuzz("videos", range(20))
    assert not result["failures"]
    assert result["outcomes"]["read"] > 2
