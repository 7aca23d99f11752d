"""Sampled frames exist and are in order, and what cannot be sampled is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from timesformer_ref.input.sampling import frame_indices, segment_indices

counts = st.integers(1, 200)


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


@pytest.fixture
def double():
    """PyTorch makes float64 tensors where no type is given."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_default_type_of_pytorch_moves_no_frame(double):
    """In float64 frame 125 of this clip would be 126."""
    expected = [24, 32, 41, 49, 58, 66, 75, 83, 92, 100, 109, 117, 125, 134, 142, 151]
    assert frame_indices(250, 30.0, 16, 8, 2, 10).tolist() == expected


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
