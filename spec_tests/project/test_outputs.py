"""What a model returns on request, and the type that its numbers have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spec_tests.harness.golden_vectors import golden
from spec_tests.harness.porting import Port
from spec_tests.ports import numpy_port, torch_port
from spec_tests.ports.variants import torch_float64
from spec_tests.project.closeness import assert_close
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.fast import for_inference
from timesformer_ref.inference.fold import fold
from timesformer_ref.numpy_blocks.model import encode, forward

FLOAT32 = [Port(numpy_port, "numpy"), Port(torch_port, "torch")]


@pytest.fixture(params=["divided", "joint", "space_only"])
def case(request):
    return golden(request.param)


@pytest.fixture
def outputs(case):
    """All that NumPy returns, and all that PyTorch returns, on the same clips."""
    wanted = {"output_attentions": True, "output_hidden_states": True}
    model = torch_float64.load(case.weights, case.config)
    with torch.no_grad():
        torch_output = model(torch.tensor(case.video), **wanted)
    return forward(case.video, case.weights, case.config, **wanted), torch_output


@pytest.mark.parametrize("wanted", [(), ("hidden_states",), ("attentions",)])
def test_what_is_not_asked_for_is_not_returned(case, wanted):
    options = {f"output_{name}": True for name in wanted}
    with torch.no_grad():
        by_torch = torch_float64.load(case.weights, case.config)(
            torch.tensor(case.video), **options
        )
    for output in (forward(case.video, case.weights, case.config, **options), by_torch):
        found = {name for name, value in output._asdict().items() if value is not None}
        assert found == {"logits", *wanted}


def test_hidden_states_are_the_originals(case, outputs):
    for output in outputs:
        for i, (found, expected) in enumerate(zip(output.hidden_states, case.states, strict=True)):
            assert_close(found, expected, f"hidden state {i}")


def test_attention_weights_are_those_of_every_group_and_agree(case, outputs):
    (t, h, w), b, a = case.grid, len(case.video), case.config.num_attention_heads
    groups = {
        "divided_space_time": {"temporal": (b * h * w, t), "spatial": (b * t, 1 + h * w)},
        "joint_space_time": {"joint": (b, 1 + h * w * t)},
        "space_only": {"spatial": (b * t, 1 + h * w)},
    }[case.config.attention_type]
    shapes = {step: (g, a, m, m) for step, (g, m) in groups.items()}
    numpy_weights, torch_weights = (output.attentions for output in outputs)
    assert len(numpy_weights) == case.config.num_hidden_layers
    for ours, theirs in zip(numpy_weights, torch_weights, strict=True):
        assert {step: x.shape for step, x in ours.items()} == shapes
        assert theirs.keys() == ours.keys()
        for step, weights in ours.items():
            assert_close(weights.sum(axis=-1), np.ones(weights.shape[:-1]), f"{step}, all keys")
            assert_close(theirs[step], weights, f"{step} weights")


@pytest.mark.parametrize("port32", FLOAT32, ids=["numpy", "torch"])
def test_numbers_in_float32_stay_float32(case, port32):
    """In float64 `assert_close` says so."""
    video, grid = np.float32(case.video), case.grid
    weights = {name: np.float32(w) for name, w in case.weights.items()}
    found = [port32.call("patchify", video, weights, case.config)]
    found.append(port32.call("time_embedding", found[-1], weights, case.config))
    found.append(port32.call("block", found[-1], weights, case.config, 0, grid))
    found.append(port32.call("classifier", found[-1], weights, case.config, grid))
    found.append(port32.call("forward", video, weights, case.config))
    _, grads = port32.call("gradients", video, case.labels, weights, case.config)
    assert {x.dtype for x in [*found, *grads.values()]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("port32", FLOAT32, ids=["numpy", "torch"])
def test_fresh_weights_are_float32(port32):
    config = TimeSformerConfig(image_size=16, hidden_size=12, num_hidden_layers=1, num_labels=2)
    fresh = port32.call("initial_weights", config, 0)
    assert {w.dtype for w in fresh.values()} == {np.dtype(np.float32)}


def test_the_model_without_its_classifier_is_the_last_norm_of_the_last_hidden_state(case):
    model = torch_float64.load(case.weights, case.config)
    with torch.no_grad():
        by_torch = model.encode(torch.tensor(case.video))
        expected = by_torch[:, 0] @ model.head.weight.T + model.head.bias
    by_numpy = encode(case.video, case.weights, case.config)
    places = case.grid[1] * case.grid[2]
    frames = 1 if case.config.separate_frames else case.grid[0]
    assert by_numpy.shape == (len(case.video), 1 + places * frames, case.config.hidden_size)
    assert_close(by_torch, by_numpy, "tokens")
    assert_close(expected, case.out["logits"], "logits of the class token")


def test_faster_copies_have_the_same_tokens_after_the_last_norm(case):
    model = torch_float64.load(case.weights, case.config)
    video = torch.tensor(case.video)
    with torch.no_grad():
        for copy in (for_inference(model), fold(model)):
            assert_close(copy.encode(video), model.encode(video), "tokens")
