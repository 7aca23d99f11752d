"""Layers that the port interface does not reach give the original's numbers too."""

from __future__ import annotations

import pytest
import torch
from einops import rearrange

from spec_tests.harness.golden_vectors import MODELS, golden
from spec_tests.ports.variants import torch_float64
from spec_tests.project.closeness import assert_close
from timesformer_ref.inference import fast
from timesformer_ref.numpy_blocks import classifier as numpy_classifier
from timesformer_ref.numpy_blocks import divided_attention as numpy_attention
from timesformer_ref.torch_blocks import classifier as torch_classifier
from timesformer_ref.weights import part

every_golden_model = pytest.mark.parametrize("name", MODELS)


def attention_layers(case):
    """The original's attention layers, in the order of their use."""
    blocks = range(case.config.num_hidden_layers)
    layers = [f"blocks.{i}.{prefix}attn" for i in blocks for prefix in ("temporal_", "")]
    return [layer for layer in layers if layer in case.out]


@every_golden_model
def test_attention_in_numpy(monkeypatch, name):
    case, seen = golden(name), []
    attend = numpy_attention.self_attention

    def spy(*args):
        seen.append(attend(*args))
        return seen[-1]

    monkeypatch.setattr(numpy_attention, "self_attention", spy)
    for i, tokens in enumerate(case.states[:-1]):
        w = part(case.weights, f"blocks.{i}")
        numpy_attention.block(tokens, w, case.config, case.grid)
    for layer, (update, _) in zip(attention_layers(case), seen, strict=True):
        assert_close(update, case.out[layer], layer)


@every_golden_model
def test_attention_and_temporal_fc_in_torch(name):
    case, seen = golden(name), {}
    model = torch_float64.load(case.weights, case.config)
    for layer, module in model.named_modules():
        if layer.endswith(("attn", "temporal_fc")):
            module.register_forward_hook(lambda _, __, out, layer=layer: seen.update({layer: out}))
    with torch.no_grad():
        model(torch.tensor(case.video))
    assert seen.keys() == {layer for layer in case.out if layer.endswith(("attn", "temporal_fc"))}
    for layer, out in seen.items():
        found = (out if layer.endswith("fc") else out[0]).numpy()
        if layer.endswith("fc"):  # applied group by group here, to the whole sequence there
            found = rearrange(found, "(b n) t d -> b (n t) d", b=len(case.video))
        assert_close(found, case.out[layer], layer)


@every_golden_model
def test_the_last_norm_in_both(name):
    case = golden(name)
    tokens, frames = case.states[-1], case.grid[0]
    found = numpy_classifier.final_norm(tokens, case.weights, case.config, frames)
    assert_close(found, case.out["norm"], "NumPy norm")
    model = torch_float64.load(case.weights, case.config)
    found = torch_classifier.final_norm(torch.tensor(tokens), model, frames)
    assert_close(found.detach(), case.out["norm"], "PyTorch norm")


def test_the_loss_of_clips_with_very_unlike_logits_is_pytorchs():
    logits = torch.tensor([[1000, 0, -1000], [-3, 2, 1]], dtype=torch.float64)
    labels = torch.tensor([1, 2])
    found = numpy_classifier.cross_entropy(logits.numpy(), labels.numpy())
    assert_close(found, torch.nn.functional.cross_entropy(logits, labels), "loss")


@pytest.mark.parametrize("weights_at_a_time", [1, 40, 150, 700, 10**6])
def test_attention_in_slices_is_attention(monkeypatch, weights_at_a_time):
    monkeypatch.setattr(fast, "SLICE", weights_at_a_time)
    q, k, v = torch.randn(3, 4, 2, 9, 5, dtype=torch.float64)
    expected = torch.softmax(q @ k.mT / 3, dim=-1) @ v
    assert_close(fast.attend_in_slices(q, k, v, 1 / 3).numpy(), expected.numpy(), "attention")
