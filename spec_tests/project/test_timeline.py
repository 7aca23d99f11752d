"""A video window by window: which windows, what is seen in them, and how it is shown."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import av
import numpy as np
import pytest

from spec_tests.project.tiny import INPUT, LABELS, checkpoint, count_decoded, one_line, write_video
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.input.decoding import VideoWarning
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import windows
from timesformer_ref.input.video import read_clip, read_windows
from timesformer_ref.input.views import crops
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.use.classify import Classifier, Prediction
from timesformer_ref.use.timeline import Timeline, classify_windows, clock

SHORT = Preprocessing(num_frames=4, sampling_rate=5, crop=16, num_crops=1, antialias=True)
"""Windows of 20 frames of a video at 30 a second."""

TIMELINE = ("classify", "a.mp4", "-c", "told.pyth", "--rate", "5", "--timeline")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a video of 70 frames and a checkpoint."""
    room = tmp_path_factory.mktemp("room")
    write_video(room / "a.mp4", frames=70)
    save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), room / "told.pyth")
    return room


@pytest.fixture
def movie(room):
    return room / "a.mp4"


@pytest.fixture
def run(run, room, monkeypatch):
    """Run the command in the room."""
    monkeypatch.chdir(room)
    return run


# Which windows


@pytest.mark.parametrize("every", [None, 0.1, 0.5, 1e-9])
@pytest.mark.parametrize(("total", "fps"), [(70, 30.0), (61, 25.0), (80, 30.0), (700, 29.97)])
def test_windows_cover_the_video_from_its_first_moment_to_its_last(total, fps, every):
    seconds, indices = windows(total, fps, 4, 5, every)
    starts, ends = seconds.T
    assert (starts[0], ends[-1]) == pytest.approx((0, total / fps))
    assert ends - starts == pytest.approx(20 / 30)
    step = max(every or 20 / 30, 1 / fps)
    assert np.diff(starts)[:-1] == pytest.approx(step)
    assert 0.5 / fps <= np.diff(starts)[-1] <= step + 0.5 / fps
    assert (np.abs(indices[:, 0] / fps - starts) < 1 / fps).all()
    assert (indices[0, 0], indices[-1, -1]) == (0, total - 1)


def test_a_video_that_windows_divide_has_no_window_twice():
    assert windows(80, 30.0, 4, 5).seconds == pytest.approx(
        np.array([[0, 20], [20, 40], [40, 60], [60, 80]]) / 30
    )


@pytest.mark.parametrize("total", [1, 12, 20])
def test_a_video_shorter_than_a_window_has_one(tmp_path, total):
    path = write_video(tmp_path / "short.mp4", frames=total)
    [window] = read_windows(path, SHORT)
    assert (window.start, window.end) == pytest.approx((0, total / 30))
    assert window.clip.frames == read_clip(path, SHORT).frames


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan"), float("inf")])
def test_windows_that_never_move_on_are_refused(every):
    with pytest.raises(ValueError, match=r"every .* is impossible: use seconds above 0"):
        windows(70, 30.0, 4, 5, every)


# What is in them


@pytest.mark.parametrize(("every", "pixels"), [(None, "stored"), (0.3, "display")])
def test_windows_as_they_come_are_those_of_all_frames_at_once(movie, every, pixels):
    with av.open(movie) as container:
        frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    expected = windows(len(frames), 30.0, 4, 5, every)
    found = list(read_windows(movie, SHORT, every=every, pixels=pixels))
    assert [w.clip.frames for w in found] == [[i] for i in expected.indices.tolist()]
    assert [[w.start, w.end] for w in found] == expected.seconds.tolist()
    assert {w.total for w in found} == {len(found)}
    for window, indices in zip(found, expected.indices, strict=True):
        views = crops(frames[indices], SHORT.scale(1), 16, num_crops=1, antialias=True)
        np.testing.assert_array_equal(window.clip.video, views)
    np.testing.assert_array_equal(found[0].clip.video, read_clip(movie, SHORT).video)


def test_a_window_comes_as_soon_as_its_last_frame_and_no_frame_is_decoded_twice(movie, monkeypatch):
    decoded = count_decoded(monkeypatch)
    for window in read_windows(movie, SHORT):
        assert decoded == [window.clip.frames[0][-1] + 1]
    assert decoded == [70]


def test_a_video_that_breaks_off_gives_windows_as_far_as_it_goes(tmp_path):
    path = write_video(tmp_path / "cut.mp4", frames=70)
    data = path.read_bytes()
    with av.open(path) as container:
        packets = [p.pos for p in container.demux(video=0) if p.size]
    whole = [w.clip for w in read_windows(path, SHORT)]
    path.write_bytes(data[: packets[50]] + bytes(packets[69] - packets[50]) + data[packets[69] :])
    with pytest.warns(VideoWarning, match=r"cut.mp4: 70 frames are promised, but \d+ can be"):
        found = list(read_windows(path, SHORT))
    assert len(found) == 3
    for window, expected in zip(found[:2], whole[:2], strict=True):
        np.testing.assert_array_equal(window.clip.video, expected.video)
    last = found[-1].clip.video
    np.testing.assert_array_equal(last[:, -1], last[:, -2])
    assert not np.array_equal(last[:, 0], last[:, 1])


# What is seen in them


@pytest.mark.parametrize("average", ["logits", "softmax"])
def test_each_window_is_classified_as_a_clip_of_its_own(movie, average):
    start = checkpoint()
    three = Preprocessing(num_frames=4, sampling_rate=5, crop=32)
    classifier = Classifier(start, three, backend="both", average=average)
    parts = []
    timeline = classify_windows(classifier, movie, every=0.5, progress=parts.append)
    assert sum(parts) == pytest.approx(1)
    clips = [window.clip for window in read_windows(movie, three, every=0.5)]
    views = np.concatenate([clip.video for clip in clips])
    logits = forward(views, start.arrays(), start.config).logits.reshape(len(clips), 3, -1)
    np.testing.assert_allclose(
        [p.logits for p in timeline.predictions], logits.mean(axis=1), atol=1e-5
    )
    assert timeline.probabilities.shape == (len(clips), 5)
    alone = [classifier.predict(movie, clip).probabilities for clip in clips]
    np.testing.assert_array_equal(timeline.probabilities, alone)
    assert all(p.max_difference < 1e-5 for p in timeline.predictions)


def timeline_of(best, seconds, labels=5, sure=0.6):
    """A timeline with these best classes, of which each is 0.1 surer than the one before."""
    predictions = []
    for number, label in enumerate(best):
        probabilities = np.full(labels, 0.01)
        probabilities[label] = sure + 0.1 * number
        predictions.append(Prediction("a.mp4", [[0]], 1, "torch", probabilities, probabilities))
    pictures = [np.zeros((90, 160, 3), np.uint8)] * min(8, len(best))
    return Timeline("a.mp4", np.array(seconds, float), predictions, pictures)


def test_neighbours_of_equal_answer_are_told_as_one_and_no_moment_twice():
    timeline = timeline_of([1, 1, 0, 1], [(0, 2), (2, 4), (4, 6), (5, 7)])
    assert timeline.borders == [0, 2, 4, 5.5, 7]
    assert [s[:3] for s in timeline.stretches] == [(0, 4, 1), (4, 5.5, 0), (5.5, 7, 1)]
    assert [s.probability for s in timeline.stretches] == pytest.approx([0.65, 0.8, 0.9])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00.0"), (62.54, "1:02.5"), (59.96, "1:00.0"), (3725.0, "1:02:05.0")],
)
def test_times_are_minutes_and_seconds(seconds, text):
    assert clock(seconds) == text


# How it is shown


def test_json_has_every_window_in_full(run, movie):
    said = run(*TIMELINE, "--json", "--every", 0.5, "--top", 2, "--crops", 1, "--backend", "both")
    assert (said.code, said.err) == (0, "")
    answer = json.loads(said.out)
    assert list(answer) == ["video", "checkpoint", "windows"]
    given = Preprocessing(**INPUT | {"num_frames": 4, "sampling_rate": 5, "crop": 32})
    expected = list(read_windows(movie, given, every=0.5))
    fields = ["start", "end", "frames", "views", "backend", "top", "logits", "max_difference"]
    assert [list(window) for window in answer["windows"]] == [fields] * len(expected)
    for found, window in zip(answer["windows"], expected, strict=True):
        assert (found["start"], found["end"]) == (window.start, window.end)
        assert found["frames"] == window.clip.frames[0]
        assert [list(row) for row in found["top"]] == [["index", "label", "probability"]] * 2


def test_for_people_a_timeline_is_a_table_of_stretches(run, tmp_path):
    said = run(*TIMELINE)
    rows = said.out.splitlines()
    assert rows[0].startswith("0:00.0–")
    assert "–0:02.3  " in rows[-1]
    times = [row.split()[0].split("–") for row in rows]
    assert all(before[1] == after[0] for before, after in pairwise(times))
    assert all("%" in row and any(label in row for label in LABELS) for row in rows)
    write_video(tmp_path / "b.mp4")
    several = run(*TIMELINE, tmp_path / "b.mp4", "--backend", "both").out
    assert several.startswith("a.mp4:\n0:00.0–")
    assert f"\n{tmp_path / 'b.mp4'}:\n0:00.0–0:00.4" in several
    assert several.count("largest difference between NumPy and PyTorch") == 2


def test_a_picture_has_frames_and_a_row_for_each_class(run, tmp_path):
    pytest.importorskip("matplotlib")
    from timesformer_ref.use.timeline_picture import STRIP, TICKS, picture, shown_classes

    target = tmp_path / "new" / "x.png"
    assert run(*TIMELINE, "--every", 0.1, "--picture", target).code == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    assert list(target.parent.iterdir()) == [target]
    many = timeline_of([7, 3, 7, *range(20, 40)], [(i, i + 1) for i in range(23)], 400)
    assert shown_classes(many)[:2] == [3, 7]
    assert len(shown_classes(many)) == 9
    frames, band, rows = picture(many, ("$a_b$" * 9,) * 400).axes
    assert len(frames.artists) == 8
    assert band.get_yticklabels()[0].get_text() == "best (grey: another)"
    assert [t.get_text() for t in rows.get_yticklabels()] == [("$a_b$" * 9)[:27] + "…"] * 9
    assert [frame.xy[0] for frame in frames.artists] == pytest.approx(23 * np.arange(0.5, 8) / 8)
    frames, _, rows = picture(timeline_of([1], [(0, 400_000)]), None).axes
    [frame] = frames.artists
    assert frame.offsetbox.get_zoom() * 90 == pytest.approx(72 * STRIP)  # as high as there is room
    assert set(np.diff(rows.get_xticks())) == {TICKS[-1]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--every", "0"], ["every 0", "above 0"]),
        (["--every", "often"], ["--every"]),
        (["--clips", "2"], ["--clips 2", "--timeline"]),
        (["--rate", "segments"], ["segments", "--rate"]),
        (["b.mp4", "--picture", "x.png"], ["--picture", "one video, not 2"]),
        (["--picture", "x.mp4"], ["x.mp4", ".png"]),
        (["--picture", "a.mp4"], ["a.mp4", "replace"]),
    ],
)
def test_wrong_use_of_a_timeline_is_one_line(run, arguments, words):
    one_line(run(*TIMELINE, *arguments), 2, *words)


@pytest.mark.parametrize("option", [("--every", 1), ("--picture", "x.png")])
def test_options_of_a_timeline_without_one_are_wrong_use(run, option):
    one_line(run("classify", "a.mp4", "-c", "told.pyth", *option), 2, option[0], "--timeline")


def test_a_picture_without_matplotlib_names_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "timesformer_ref.use.timeline_picture", raising=False)
    said = run(*TIMELINE, "--picture", "x.png")
    one_line(said, 1, "matplotlib", "pip install 'timesformer-ref[pictures]'")


def test_a_broken_video_is_one_line_and_stops_no_other(run, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    said = run(*TIMELINE, tmp_path / "bad.mp4")
    assert said.code == 1
    assert said.err.startswith(f"error: {tmp_path / 'bad.mp4'}: ")
    assert said.out.startswith("a.mp4:\n")
