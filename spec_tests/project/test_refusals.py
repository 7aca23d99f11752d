"""What a model cannot take is refused in words that help, by both implementations."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spec_tests.project.tiny import CONFIG
from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.numpy_blocks import model as numpy_blocks
from timesformer_ref.numpy_blocks.divided_attention import block
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks import model as torch_blocks
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.weights import part

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


ONE_BLOCK = replace(CONFIG, num_hidden_layers=1)


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (CONFIG, {"blocks.0.mlp.fc2.bias": None}, "blocks.0.mlp.fc2.bias is missing, expected 32$"),
        (CONFIG, {"head.bias": None}, "head.bias is missing, expected 5$"),
        (CONFIG, {"head.weight": None}, "head.weight is missing, expected 5 x 32$"),
        (CONFIG, {"time_embed": None}, "time_embed is missing, expected 1 x 4 x 32$"),
        (CONFIG, {"blocks.1.attn.qkv.bias": None}, "blocks.1.attn.qkv.bias is missing"),
        (CONFIG, {"head.bias": (1,)}, "head.bias is 1, expected 5$"),
        (CONFIG, {"norm.weight": (1, 32)}, "norm.weight is 1 x 32, expected 32$"),
        (CONFIG, {"pos_embed": (1, 5, 32)}, "pos_embed is 1 x 5 x 32, expected 1 x 17 x 32$"),
        (CONFIG, {"head.scale": (5,)}, r"head.scale \(5\) is unexpected"),
        (ONE_BLOCK, {}, r"blocks.1.temporal_norm1.weight \(32\) is unexpected: no weight of a div"),
        (replace(CONFIG, num_hidden_layers=3), {}, "blocks.2.temporal_norm1.weight is missing"),
        (replace(CONFIG, qkv_bias=False), {}, r"blocks.0.temporal_attn.qkv.bias \(96\) is unexp"),
        (replace(CONFIG, num_frames=8), {}, "time_embed is 1 x 4 x 32, expected 1 x 8 x 32$"),
    ],
)
def test_numpy_weights_that_do_not_fit_the_config(config, change, message):
    """change: by name, the shape of a weight that is put there, or None for one left out."""
    weights = initial_weights(CONFIG, 0)
    weights |= {name: np.zeros(shape, np.float32) for name, shape in change.items() if shape}
    for name in [name for name, shape in change.items() if shape is None]:
        del weights[name]
    with pytest.raises(ValueError, match=f"^tensor {message}"):
        forward(clip(1, 4, 3, 32, 32), weights, config)


@pytest.mark.parametrize("layer", ["attn.proj", "temporal_attn.proj", "temporal_fc", "mlp.fc1"])
def test_no_layer_of_a_numpy_block_does_without_its_bias(layer):
    weights = part(initial_weights(CONFIG, 0), "blocks.0")
    tokens, grid = np.zeros((1, 65, 32), np.float32), (4, 4, 4)
    block(tokens, weights, CONFIG, grid)
    del weights[f"{layer}.bias"]
    with pytest.raises(KeyError, match="bias"):
        block(tokens, weights, CONFIG, grid)


@pytest.mark.parametrize(
    "labels",
    [[0, 5], [-1, 0], [-100, 0], [0], [0, 1, 2], [[0], [1]], [0.0, 1.0], [True, False], 3],
)
def test_labels_that_are_no_classes_are_refused_before_any_work(build, labels, monkeypatch):
    for module in (numpy_blocks, torch_blocks):
        monkeypatch.setattr(module, "patchify", None)
    message = f"labels {labels}: expected 2 of the whole numbers 0 to 4"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(CONFIG)(clip(2, 4, 3, 32, 32), np.array(labels))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_labels_of_any_integer_type(build, dtype):
    model, video = build(CONFIG), clip(2, 4, 3, 32, 32)
    found = model(video, np.array([3, 4], dtype)).loss
    assert found.item() == model(video, np.array([3, 4])).loss.item()
