"""Views beyond the port interface: one crop, other channels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors import safe_open

from spec_tests.harness.golden_vectors import FOLDER
from timesformer_ref.input.views import crops


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


def triangles(size, small):
    """What each of `size` pixels in a row counts for each of `small`: Pillow's bilinear resize."""
    factor = size / small
    centres = (np.arange(small) + 0.5) * factor - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(size) - centres[:, None]) / factor)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(48, 96), (37, 50)])
def test_antialiasing_averages_over_all_pixels_that_a_smaller_one_covers(size):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    view = crops(frames, 8, 8, num_crops=1, antialias=True)
    height, width = 8, 8 * size[1] // size[0]
    down, along = triangles(size[0], height), triangles(size[1], width)
    expected = np.einsum("ya,xb,tabc->tcyx", down, along, (frames / 255 - 0.45) / 0.225)
    left = -(-(width - 8) // 2)
    np.testing.assert_allclose(view[0], expected[..., left : left + 8], rtol=0, atol=1e-5)


def test_fine_stripes_are_grey_with_antialiasing_and_stripes_without():
    frames = np.zeros((1, 96, 96, 3), np.uint8)
    frames[:, :, ::2] = 255
    grey, stripes = (crops(frames, 20, 20, num_crops=1, antialias=on) for on in (True, False))
    assert np.ptp(grey) < 0.5 < 2 < np.ptp(stripes)


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
