"""Sampling and views against the original's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors import safe_open

from timesformer_ref.sampling import frame_indices, segment_indices
from timesformer_ref.views import crops

GOLDEN = Path(__file__).parent / "golden"
VIEWS = ("views_landscape", "views_portrait", "views_scale_larger_than_crop", "views_upscaled")

counts = st.integers(1, 200)


def rows(name):
    return json.loads((GOLDEN / name).read_text())["rows"]


def golden_views(name):
    """Frames, the three crops of the original, scale and crop."""
    with safe_open(GOLDEN / f"{name}.safetensors", "np") as file:
        views = np.stack([file.get_tensor(f"out.crop{i}") for i in range(3)])
        metadata = file.metadata()
        return (
            file.get_tensor("in.frames"),
            views,
            int(metadata["scale"]),
            int(metadata["crop"]),
        )


def test_clips_have_the_frames_that_the_original_samples():
    arguments = ("video_frames", "fps", "num_frames", "sampling_rate", "clip", "num_clips")
    for row in rows("temporal_sampling.json"):
        chosen = frame_indices(*(row[name] for name in arguments))
        assert chosen.tolist() == row["indices"], row


def test_segments_have_the_frames_that_the_original_samples():
    for row in rows("segment_sampling.json"):
        chosen = segment_indices(row["video_frames"], row["num_frames"])
        assert chosen.tolist() == row["indices"], row


@given(counts, st.floats(1, 240), counts, counts, st.integers(1, 12), st.data())
def test_sampled_frames_exist_and_are_in_order(total, fps, num_frames, rate, num_clips, data):
    clip = data.draw(st.integers(0, num_clips - 1))
    assume(rate * num_frames * fps >= 30)  # the original runs backwards through less than a frame
    for chosen in (
        frame_indices(total, fps, num_frames, rate, clip, num_clips),
        segment_indices(total, num_frames),
    ):
        assert len(chosen) == num_frames
        assert chosen.dtype == np.int64
        assert (np.diff(chosen) >= 0).all()
        assert chosen[0] >= 0
        assert chosen[-1] < total


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 30.0, 8, 32), "total 0"),
        ((10, 0.0, 8, 32), "fps 0.0"),
        ((10, float("nan"), 8, 32), "fps nan"),
        ((10, 30.0, 0, 32), "num_frames 0"),
        ((10, 30.0, 8, 0), "sampling_rate 0"),
        ((10, 30.0, 8, 32, 0, 0), "num_clips 0"),
        ((10, 30.0, 8, 32, 3, 3), "clip 3 is not one of 3"),
        ((10, 30.0, 8, 32, -1, 3), "clip -1 is not one of 3"),
    ],
)
def test_impossible_clips_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        frame_indices(*arguments)


@pytest.mark.parametrize("arguments", [(0, 8), (8, 0)])
def test_impossible_segments_are_refused(arguments):
    with pytest.raises(ValueError, match="is impossible"):
        segment_indices(*arguments)


@pytest.mark.parametrize("name", VIEWS)
def test_three_crops_are_those_of_the_original(name):
    frames, expected, scale, crop = golden_views(name)
    views = crops(frames, scale, crop)
    assert views.dtype == np.float32
    np.testing.assert_allclose(views, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", VIEWS)
def test_one_crop_is_the_centre(name):
    frames, expected, scale, crop = golden_views(name)
    views = crops(frames, scale, crop, num_crops=1)
    np.testing.assert_allclose(views, expected[1:2], rtol=0, atol=2e-6)


def test_frames_of_the_right_size_are_not_resized():
    frames = np.random.default_rng(0).integers(0, 256, (1, 22, 30, 3), np.uint8)
    assert 30 / 22 * 22 < 30  # rounding down would lose a column
    expected = (frames[:, :, -22:].astype(np.float32) / 255 - 0.45) / 0.225
    right = crops(frames, 22, 22)[2]
    np.testing.assert_allclose(right, expected.transpose(0, 3, 1, 2), rtol=0, atol=2e-6)


def test_bgr_turns_channels_around_before_they_are_normalised():
    frames, _, scale, crop = golden_views("views_landscape")
    numbers = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    views = crops(frames, scale, crop, channel_order="bgr", **numbers)
    np.testing.assert_array_equal(views, crops(frames[..., ::-1], scale, crop, **numbers))


def test_grey_frames_have_one_channel():
    frames, _, scale, crop = golden_views("views_landscape")
    grey = crops(frames[..., :1], scale, crop, mean=(0.45,), std=(0.225,))
    np.testing.assert_array_equal(grey, crops(frames, scale, crop)[:, :, :1])


def test_frames_are_left_as_they_were():
    frames, _, scale, crop = golden_views("views_landscape")
    before = frames.copy()
    crops(frames, scale, crop)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 33}, "a crop of 33 does not fit in a frame resized to 32 x 56"),
        ({"num_crops": 2}, "num_crops 2 is unknown"),
        ({"mean": (0.5,)}, "frames have 3 channels, mean 1 numbers and std 3"),
    ],
)
def test_impossible_views_are_refused(changes, message):
    frames, _, scale, crop = golden_views("views_landscape")
    with pytest.raises(ValueError, match=message):
        crops(frames, **({"scale": scale, "crop": crop} | changes))
