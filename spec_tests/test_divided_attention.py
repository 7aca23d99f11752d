"""Attention steps, MLP and whole blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from einops import rearrange

from spec_tests.golden_vectors import BOUNDS, MODELS, assert_close, golden
from spec_tests.ports import torch_port
from timesformer_ref.numpy_blocks import divided_attention as numpy_attention
from timesformer_ref.numpy_blocks.model import forward


def states(case):
    """What enters and what leaves each block of the original."""
    names = ["embeddings", *(f"blocks.{i}" for i in range(case.config.num_hidden_layers))]
    return list(pairwise(case.tensors[f"out.{name}"] for name in names))


@pytest.mark.parametrize("name", MODELS)
def test_every_block_gives_the_originals_tokens(port, prepare, dtype, name):
    case = golden(name)
    _, weights = case.inputs(dtype)
    ready = prepare(weights, case.config)
    for i, (tokens, expected) in enumerate(states(case)):
        found = port.block(tokens.astype(dtype), ready, case.config, i, case.grid)
        assert found.dtype == dtype
        assert_close(found, expected, BOUNDS[dtype], f"block {i}")


@pytest.mark.parametrize("name", MODELS)
def test_steps_and_mlp_one_after_another_are_the_block(port, prepare, name):
    case = golden(name)
    _, weights = case.inputs(np.float64)
    ready = prepare(weights, case.config)
    for i, (tokens, expected) in enumerate(states(case)):
        for step in case.config.steps:
            tokens = port.attention_step(tokens, ready, case.config, i, case.grid, step)
        found = port.mlp(tokens, ready, case.config, i)
        assert_close(found, expected, BOUNDS[np.float64], f"the steps of block {i}")


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("divided")])
def test_the_temporal_step_adds_the_originals_temporal_fc_to_the_patches(
    port, prepare, dtype, name
):
    case = golden(name)
    _, weights = case.inputs(dtype)
    ready = prepare(weights, case.config)
    for i, (tokens, _) in enumerate(states(case)):
        found = port.attention_step(
            tokens.astype(dtype), ready, case.config, i, case.grid, "temporal"
        )
        update = case.tensors[f"out.blocks.{i}.temporal_fc"]
        expected = np.concatenate([tokens[:, :1], tokens[:, 1:] + update], axis=1)
        assert_close(found, expected, BOUNDS[dtype], f"temporal step of block {i}")


def test_the_class_token_stays_out_of_temporal_attention(port, prepare):
    case = golden("divided")
    _, weights = case.inputs(np.float64)
    ready = prepare(weights, case.config)
    tokens = case.tensors["out.embeddings"]
    other = tokens.copy()
    other[:, 0] += 1
    first, second = (
        port.attention_step(x, ready, case.config, 0, case.grid, "temporal")
        for x in (tokens, other)
    )
    assert np.array_equal(first[:, 1:], second[:, 1:])
    assert np.array_equal(second[:, 0], other[:, 0])


@pytest.mark.parametrize("name", MODELS)
def test_the_numpy_attention_layers_give_the_originals_results(monkeypatch, dtype, name):
    case = golden(name)
    _, weights = case.inputs(dtype)
    seen = []
    attend = numpy_attention.self_attention

    def spy(*args):
        seen.append(attend(*args))
        return seen[-1]

    monkeypatch.setattr(numpy_attention, "self_attention", spy)
    for i, (tokens, _) in enumerate(states(case)):
        w = numpy_attention.part(weights, f"blocks.{i}")
        numpy_attention.block(tokens.astype(dtype), w, case.config, case.grid)
    layers = [n for n in case.tensors if n.startswith("out.") and n.endswith("attn")]
    for (update, _), layer in zip(seen, sorted(layers, key=in_order_of_use), strict=True):
        assert_close(update, case.tensors[layer], BOUNDS[dtype], layer)


def in_order_of_use(name):
    _, _, i, layer = name.split(".")
    return int(i), layer != "temporal_attn"


@pytest.mark.parametrize("name", MODELS)
def test_the_torch_attention_layers_give_the_originals_results(dtype, name):
    case = golden(name)
    video, weights = case.inputs(dtype)
    model = torch_port.load(weights, case.config)
    seen = {}
    for layer, module in model.named_modules():
        if layer.endswith(("attn", "temporal_fc")):
            module.register_forward_hook(lambda _, __, out, layer=layer: seen.update({layer: out}))
    torch_port.forward(video, model, case.config)
    assert len(seen) == case.config.num_hidden_layers * (3 if name.startswith("divided") else 1)
    for layer, out in seen.items():
        expected = case.tensors[f"out.{layer}"]
        found = (out if layer.endswith("fc") else out[0]).detach().numpy()
        if layer.endswith("fc"):  # applied group by group here, to the whole sequence there
            found = rearrange(found, "(b n) t d -> b (n t) d", b=len(video))
        assert_close(found, expected, BOUNDS[dtype], layer)


def test_no_attention_score_overflows_however_large(port, prepare):
    case = golden("divided")
    _, weights = case.inputs(np.float32)
    for layer in ("attn", "temporal_attn"):
        weights[f"blocks.0.{layer}.qkv.weight"] *= 100
    tokens = case.tensors["out.embeddings"].astype(np.float32)
    found = port.block(tokens, prepare(weights, case.config), case.config, 0, case.grid)
    assert np.isfinite(found).all()


def test_both_implementations_return_the_weights_of_every_step(dtype):
    case = golden("divided")
    video, weights = case.inputs(dtype)
    numpy_out = forward(
        video, weights, case.config, output_attentions=True, output_hidden_states=True
    )
    with torch.no_grad():
        torch_out = torch_port.load(weights, case.config)(
            torch.tensor(video), output_attentions=True, output_hidden_states=True
        )
    b, (t, h, w), a = len(video), case.grid, case.config.num_attention_heads
    shapes = {"temporal": (b * h * w, a, t, t), "spatial": (b * t, a, 1 + h * w, 1 + h * w)}
    assert len(numpy_out.attentions) == len(torch_out.attentions) == 2
    for ours, theirs in zip(numpy_out.attentions, torch_out.attentions, strict=True):
        assert {step: x.shape for step, x in ours.items()} == shapes
        for step in shapes:
            assert np.allclose(ours[step].sum(axis=-1), 1, atol=1e-5)
            assert_close(theirs[step].numpy(), ours[step], BOUNDS[dtype], f"{step} weights")
    for i, name in enumerate(["embeddings", "blocks.0", "blocks.1"]):
        for states_of in (numpy_out.hidden_states[i], torch_out.hidden_states[i].numpy()):
            assert_close(states_of, case.tensors[f"out.{name}"], BOUNDS[dtype], name)
