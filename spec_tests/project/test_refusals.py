"""What a model cannot take is refused in words that help, by both implementations."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spec_tests.project.tiny import CONFIG
from timesformer_ref.config import SCHEMES
from timesformer_ref.initialise import initial_weights
from timesformer_ref.numpy_blocks import model as numpy_blocks
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.torch_blocks import model as torch_blocks
from timesformer_ref.torch_blocks.model import TimeSformer

pytestmark = pytest.mark.usefixtures("unchecked")


def numpy_model(config):
    weights = initial_weights(config, 0)
    return lambda video, *labels: forward(video, weights, config, *labels)


def torch_model(config):
    model = TimeSformer(config).eval()
    return lambda *arrays: model(*map(torch.from_numpy, arrays))


@pytest.fixture(params=[numpy_model, torch_model], ids=["numpy", "torch"])
def build(request):
    """Make a model of either implementation, that takes arrays."""
    return request.param


def clip(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("attention_type", sorted(SCHEMES))
def test_a_clip_that_a_grouping_cannot_divide(build, attention_type):
    model = build(replace(CONFIG, attention_type=attention_type))
    video = clip(1, 3, 3, 24, 40)
    if attention_type != "sparse_local_global":
        assert model(video).logits.shape == (1, 5)
        return
    with pytest.raises(ValueError, match="3 frames of 3 x 5 patches: its local step needs"):
        model(video)


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (clip(4, 3, 32, 32), "a video has 5 axes"),
        (clip(0, 4, 3, 32, 32), "has no clips"),
        (clip(1, 0, 3, 32, 32), "has no frames"),
        (clip(1, 3, 4, 32, 32), "the video has 4 channels on axis 2"),
        (clip(1, 4, 3, 7, 32), "frames of 7 x 32 pixels are smaller than one patch"),
        (clip(1, 4, 3, 32, 32, dtype=np.uint8), "the video holds .*uint8, expected normalised"),
    ],
)
def test_a_clip_of_another_form(build, video, message):
    with pytest.raises(ValueError, match=message):
        build(CONFIG)(video)


@pytest.mark.parametrize(
    "labels",
    [[0, 5], [-1, 0], [-100, 0], [0], [0, 1, 2], [[0], [1]], [0.0, 1.0], [True, False], 3],
)
def test_labels_that_are_no_classes_are_refused_before_any_work(build, labels, monkeypatch):
    for module in (numpy_blocks, torch_blocks):
        monkeypatch.setattr(module, "patchify", None)
    message = f"labels {labels}: expected 2 whole numbers, each from 0 to 4"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(CONFIG)(clip(2, 4, 3, 32, 32), np.array(labels))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_labels_of_any_integer_type(build, dtype):
    model, video = build(CONFIG), clip(2, 4, 3, 32, 32)
    found = model(video, np.array([3, 4], dtype)).loss
    assert found.item() == model(video, np.array([3, 4])).loss.item()
