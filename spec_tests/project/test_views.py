"""Views beyond the port interface: one crop, other channels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors import safe_open

from spec_tests.golden_vectors import FOLDER
from timesformer_ref.views import crops


def golden_views(name):
    """Frames, the three crops of the original, scale and crop."""
    with safe_open(FOLDER / f"{name}.safetensors", "np") as file:
        views = np.stack([file.get_tensor(f"out.crop{i}") for i in range(3)])
        scale, crop = (int(file.metadata()[n]) for n in ("scale", "crop"))
        return file.get_tensor("in.frames"), views, scale, crop


@pytest.fixture
def given():
    """Frames, scale and crop."""
    frames, _, scale, crop = golden_views("views_landscape")
    return frames, scale, crop


@pytest.mark.parametrize("name", [path.stem for path in sorted(FOLDER.glob("views_*"))])
def test_one_crop_is_the_originals_centre(name):
    frames, expected, scale, crop = golden_views(name)
    views = crops(frames, scale, crop, num_crops=1)
    assert views.dtype == np.float32
    np.testing.assert_allclose(views, expected[1:2], rtol=0, atol=2e-6)


def test_bgr_turns_channels_around_before_they_are_normalised(given):
    frames, scale, crop = given
    numbers = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    views = crops(frames, scale, crop, channel_order="bgr", **numbers)
    np.testing.assert_array_equal(views, crops(frames[..., ::-1], scale, crop, **numbers))


def test_grey_frames_have_one_channel(given):
    frames, scale, crop = given
    grey = crops(frames[..., :1], scale, crop, mean=(0.45,), std=(0.225,))
    np.testing.assert_array_equal(grey, crops(frames, scale, crop)[:, :, :1])


def test_frames_are_left_as_they_were(given):
    frames, scale, crop = given
    before = frames.copy()
    for order in ("rgb", "bgr"):
        for size in (scale, min(frames.shape[1:3])):  # resized, or already of the right size
            crops(frames, size, crop, channel_order=order)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 33}, "a crop of 33 does not fit in a frame resized to 32 x 56"),
        ({"num_crops": 2}, "num_crops 2 is unknown"),
        ({"mean": (0.5,)}, "frames have 3 channels, mean 1 numbers and std 3"),
    ],
)
def test_impossible_views_are_refused(given, changes, message):
    frames, scale, crop = given
    with pytest.raises(ValueError, match=message):
        crops(frames, **({"scale": scale, "crop": crop} | changes))
