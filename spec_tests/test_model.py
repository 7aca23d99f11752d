"""The whole model: against the original, and the two implementations against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_tests.golden_vectors import BOUNDS, MODELS, assert_close, golden
from spec_tests.ports import numpy_port, torch_port
from timesformer_ref.config import SCHEMES, STEPS, TimeSformerConfig
from timesformer_ref.initialise import initial_weights


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_originals(port, prepare, dtype, name):
    case = golden(name)
    video, weights = case.inputs(dtype)
    logits = port.forward(video, prepare(weights, case.config), case.config)
    assert logits.dtype == dtype
    assert_close(logits, case.tensors["out.logits"], BOUNDS[dtype], "logits")


@st.composite
def geometries(draw):
    """A model's fields, and a clip that need not have the size it was trained for."""
    attention_type = draw(st.sampled_from(sorted(SCHEMES)))
    cut_t, cut_h, cut_w = (
        max(n) for n in zip(*(STEPS[s].pieces for s in SCHEMES[attention_type]), strict=True)
    )
    patch = draw(st.integers(1, 5))
    heads = draw(st.integers(1, 3))
    fields = dict(
        image_size=patch * cut_h * draw(st.integers(1, 3)),
        patch_size=patch,
        num_channels=draw(st.integers(1, 3)),
        num_frames=cut_t * draw(st.integers(1, 3)),
        hidden_size=heads * draw(st.integers(4, 8)),
        num_hidden_layers=draw(st.integers(1, 2)),
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 9)),
        qkv_bias=draw(st.booleans()),
        attention_type=attention_type,
        num_labels=draw(st.integers(1, 4)),
    )
    clip = (
        draw(st.integers(1, 2)),
        cut_t * draw(st.integers(1, 4)),
        fields["num_channels"],
        patch * cut_h * draw(st.integers(1, 3)) + draw(st.integers(0, patch - 1)),
        patch * cut_w * draw(st.integers(1, 3)) + draw(st.integers(0, patch - 1)),
    )
    return fields, clip


def random_inputs(config, clip, seed):
    """A clip and weights none of which is zero or one, so that every one of them counts."""
    rng = np.random.default_rng(seed)
    weights = {
        name: weight + rng.normal(0, 0.3, weight.shape)
        for name, weight in initial_weights(config, seed).items()
    }
    return rng.normal(size=clip), weights


@settings(max_examples=150, deadline=None)
@given(geometries(), st.integers(0, 2**32 - 1))
def test_numpy_and_torch_agree_on_any_geometry_of_all_schemes(geometry, seed):
    config, clip = TimeSformerConfig(**geometry[0]), geometry[1]
    video, weights = random_inputs(config, clip, seed)
    expected = numpy_port.forward(video, weights, config)
    found = torch_port.forward(video, torch_port.load(weights, config), config)
    assert_close(found, expected, 1e-12, f"PyTorch against NumPy ({config.attention_type})")


@settings(max_examples=40, deadline=None)
@given(geometries(), st.integers(0, 2**32 - 1))
def test_numpy_and_torch_agree_on_every_gradient_of_all_schemes(geometry, seed):
    config, clip = TimeSformerConfig(**geometry[0]), geometry[1]
    video, weights = random_inputs(config, clip, seed)
    labels = np.arange(clip[0]) % config.num_labels
    loss, expected = numpy_port.gradients(video, labels, weights, config)
    model = torch_port.load(weights, config)
    torch_loss, found = torch_port.gradients(video, labels, model, config)
    assert abs(torch_loss - loss) <= 1e-12 * max(1, abs(loss))
    largest = max(np.abs(g).max() for g in expected.values())
    for name in weights:
        assert np.abs(found[name] - expected[name]).max() <= 1e-10 * largest, name


@pytest.mark.parametrize("attention_type", sorted(SCHEMES))
def test_a_clip_that_a_grouping_cannot_divide_is_refused(port, prepare, attention_type):
    config = TimeSformerConfig(
        image_size=8, patch_size=2, hidden_size=4, num_attention_heads=2, intermediate_size=4,
        num_hidden_layers=1, attention_type=attention_type, num_labels=2, num_channels=1,
    )  # fmt: skip
    weights = initial_weights(config, 0)
    video = np.zeros((1, 3, 1, 6, 10), np.float32)
    ready = prepare(weights, config)
    if attention_type != "sparse_local_global":
        assert port.forward(video, ready, config).shape == (1, 2)
        return
    with pytest.raises(ValueError, match="3 frames of 3 x 5 patches: its local step needs"):
        port.forward(video, ready, config)
