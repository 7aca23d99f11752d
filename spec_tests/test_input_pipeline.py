"""Which frames make a clip, and which pixels a view."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from spec_tests.harness.judging import Question, agree, requirement

GOLDEN = Path(__file__).parent / "golden"
LANDSCAPE = ("views_landscape", "views_scale_larger_than_crop", "views_upscaled")
ARGUMENTS = ("total", "fps", "num_frames", "sampling_rate", "clip", "num_clips")


@dataclass(frozen=True)
class Given:
    """The arguments of a function that takes no model."""

    arguments: dict[str, Any] = field(default_factory=dict)

    def describe(self):
        return {n: x for n, x in self.arguments.items() if not isinstance(x, np.ndarray)}


def rows(name):
    return json.loads((GOLDEN / name).read_text())["rows"]


def exactly(port, function, arguments, expected=None):
    """Check that the port returns the original's integers if given, else the reference's."""
    question = Question(port, Given(arguments), function, **arguments)
    right = question.expected[""] if expected is None else np.asarray(expected)
    answer = question.answer()
    found = ", ".join(f"{x:.9g}" for x in answer[""])
    question.equal(answer, {"": right}, f"[{found}], expected {right.tolist()}")


def temporal_rows(condition):
    found = [
        dict(zip(ARGUMENTS, (row["video_frames"], *(row[n] for n in ARGUMENTS[1:])), strict=True))
        | {"expected": row["indices"]}
        for row in rows("temporal_sampling.json")
    ]
    return [row for row in found if condition(row)]


def span(row):
    return row["sampling_rate"] * row["num_frames"] / 30 * row["fps"]


def sampled(port, condition):
    chosen = temporal_rows(condition)
    assert chosen
    for row in chosen:
        exactly(port, "frame_indices", {n: row[n] for n in ARGUMENTS}, row["expected"])


@requirement("FRAMES-1")
def test_first_clips_of_the_original(port):
    sampled(port, lambda row: row["clip"] == 0 and span(row) <= row["total"])


@requirement("FRAMES-2")
def test_later_clips_of_the_original(port):
    sampled(port, lambda row: row["clip"] > 0 and span(row) <= row["total"])


@requirement("FRAMES-4")
def test_short_videos_of_the_original(port):
    sampled(port, lambda row: span(row) > row["total"])


@requirement("FRAMES-2")
@pytest.mark.parametrize("clip", [(250, 25.0, 8, 32, 9, 10), (852, 25.0, 16, 8, 7, 10)])
def test_a_start_that_float32_would_round_otherwise(port, clip):
    exactly(port, "frame_indices", dict(zip(ARGUMENTS, clip, strict=True)))


@requirement("FRAMES-1")
@pytest.mark.parametrize("clip", [(503, 24.0, 16, 8, 4, 10), (1090, 25.0, 32, 32, 6, 10)])
def test_a_span_that_float32_would_round_otherwise(port, clip):
    exactly(port, "frame_indices", dict(zip(ARGUMENTS, clip, strict=True)))


@requirement("FRAMES-4")
def test_a_clip_that_spans_less_than_a_frame(port):
    exactly(port, "frame_indices", dict(zip(ARGUMENTS, (20, 3.0, 4, 2, 0, 1), strict=True)))


BETWEEN_FLOAT32_AND_FLOAT64 = [
    (900, 24.0, 8, 3, 1, 3),
    (300, 24.0, 10, 32, 1, 3),
    (300, 25.0, 8, 4, 5, 10),
    (300, 30.0, 7, 8, 1, 3),
    (300, 30.0, 64, 8, 0, 1),
    (900, 30.0, 64, 16, 5, 10),
    (300, 50.0, 16, 3, 1, 3),
    (900, 60.0, 64, 4, 0, 1),
]
"""Clips with a position so close to a whole number that float64 would take another frame, while
float32 takes the same one whether or not the product is rounded before the sum."""


@requirement("FRAMES-3")
@pytest.mark.parametrize("clip", BETWEEN_FLOAT32_AND_FLOAT64)
def test_positions_are_spaced_in_float32_and_cut(port, clip):
    exactly(port, "frame_indices", dict(zip(ARGUMENTS, clip, strict=True)))


@requirement("FRAMES-3")
def test_a_single_frame_is_at_the_start(port):
    arguments = dict(total=100, fps=30.0, num_frames=1, sampling_rate=8, clip=1, num_clips=2)
    exactly(port, "frame_indices", arguments, [46])


@requirement("FRAMES-5")
def test_segments_of_the_original(port):
    for row in rows("segment_sampling.json"):
        arguments = {"total": row["video_frames"], "num_frames": row["num_frames"]}
        exactly(port, "segment_indices", arguments, row["indices"])


@requirement("FRAMES-5")
@pytest.mark.parametrize(("total", "num_frames"), [(30, 14), (43, 20)])
def test_bounds_that_float32_would_round_otherwise(port, total, num_frames):
    exactly(port, "segment_indices", {"total": total, "num_frames": num_frames})


@requirement("FRAMES-5")
def test_segments_of_every_video_of_up_to_300_frames(port):
    for total in range(1, 301, 7 if port.static_shapes else 1):
        exactly(port, "segment_indices", {"total": total, "num_frames": 8})


def golden_views(name):
    """The original's frames, scale and crop, and its three views."""
    with safe_open(GOLDEN / f"{name}.safetensors", "np") as file:
        views = np.stack([file.get_tensor(f"out.crop{i}") for i in range(3)])
        sizes = {n: int(file.metadata()[n]) for n in ("scale", "crop")}
        return {"frames": file.get_tensor("in.frames"), **sizes}, views


def view(port, arguments, golden=None):
    case = Given(arguments | {"size": arguments["frames"].shape})
    agree(port, case, "crops", golden=golden, **arguments)


def pixels(height, width, frames=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)


LONG = [
    (70_001, 30.0, 8, 32, 2, 3),  # more frames than two bytes count
    (300_000, 60.0, 96, 4, 9, 10),
    (5_000, 25.0, 257, 8, 0, 1),
    (20_000_001, 30.0, 16, 16, 1, 2),  # more than float32 counts one by one
]
"""Clips of long videos, and long clips, for which it matters not when a product is rounded."""


@requirement("FRAMES-2")
@pytest.mark.parametrize("clip", LONG)
def test_long_videos_and_long_clips(port, clip):
    exactly(port, "frame_indices", dict(zip(ARGUMENTS, clip, strict=True)))


@requirement("FRAMES-5")
@pytest.mark.parametrize(
    ("total", "num_frames"), [(70_001, 8), (20_000_001, 16), (5_000, 96), (5_000, 257), (100, 257)]
)
def test_segments_of_long_videos_and_many_segments(port, total, num_frames):
    exactly(port, "segment_indices", {"total": total, "num_frames": num_frames})


@requirement("VIEW-1")
def test_pixels_are_normalised(port):
    view(port, {"frames": pixels(8, 12), "scale": 8, "crop": 8})


@requirement("VIEW-2")
@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [(24, 35, 17), (35, 24, 17), (22, 30, 22), (30, 22, 22), (33, 45, 11), (45, 33, 11)],
)
def test_sizes_after_the_resize(port, height, width, scale):
    view(port, {"frames": pixels(height, width), "scale": scale, "crop": scale})


@requirement("VIEW-3")
@pytest.mark.parametrize("scale", [9, 15, 31, 40])
def test_bilinear_resize(port, scale):
    view(port, {"frames": pixels(20, 20), "scale": scale, "crop": scale})


@requirement("VIEW-4")
@pytest.mark.parametrize("name", LANDSCAPE)
def test_landscape_views_of_the_original(port, name):
    arguments, views = golden_views(name)
    view(port, arguments, views)


@requirement("VIEW-4")
def test_frames_that_become_square_count_as_lying(port):
    view(port, {"frames": pixels(25, 24), "scale": 20, "crop": 10})


@requirement("VIEW-5")
def test_portrait_views_of_the_original(port):
    arguments, views = golden_views("views_portrait")
    view(port, arguments, views)


@requirement("VIEW-6")
@pytest.mark.parametrize(("height", "width"), [(16, 23), (23, 16), (16, 16)])
def test_centre_is_rounded_up(port, height, width):
    view(port, {"frames": pixels(height, width), "scale": 16, "crop": 13})


@requirement("VIEW-4")
@pytest.mark.parametrize(
    ("height", "width", "frames", "scale", "crop"),
    [
        (8, 8, 97, 8, 8),  # frames of the longest published clips
        (9, 1030, 1, 8, 8),
        (4, 66_000, 1, 4, 4),  # columns beyond two bytes
        (256, 340, 1, 224, 224),
    ],
)
def test_views_of_large_frames_and_long_clips(port, height, width, frames, scale, crop):
    view(port, {"frames": pixels(height, width, frames), "scale": scale, "crop": crop})


@requirement("VIEW-5")
@pytest.mark.parametrize(("height", "width", "scale"), [(1030, 9, 8), (340, 256, 224)])
def test_views_of_high_frames(port, height, width, scale):
    view(port, {"frames": pixels(height, width, 1), "scale": scale, "crop": scale})


AGAIN = {
    "frame_indices": [dict(zip(ARGUMENTS, row, strict=True)) for row in LONG[:2]],
    "segment_indices": [{"total": 30, "num_frames": 14}, {"total": 43, "num_frames": 20}],
    "crops": [
        {"frames": pixels(16, 23), "scale": 12, "crop": 8},
        {"frames": pixels(23, 16, seed=1), "scale": 14, "crop": 12},
    ],
}
"""A call of each function, and another one."""


@requirement("PROP-2")
@pytest.mark.parametrize("function", AGAIN)
def test_the_same_call_again_gives_the_same_answer(port, function):
    """At once, and after another call."""
    mine, other = (Question(port, Given(x), function, **x) for x in AGAIN[function])
    first = mine.answer()
    for between in ("at once", "after another call"):
        mine.compare(mine.answer(), first, f"when called again {between}")
        other.answer()
