"""A right port may add the terms of a sum one after another, however many there are."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import erf

from spec_tests.harness.cases import Case
from spec_tests.harness.judging import Nonconformance, agree
from spec_tests.harness.porting import Port
from spec_tests.harness.sizes import TINY, case_of
from spec_tests.ports import variants
from spec_tests.project.test_telling import port_with
from timesformer_ref.config import TimeSformerConfig


def in_sequence(x, axis=-1):
    """A float32 sum of which every partial sum is rounded."""
    return np.take(np.cumsum(x, axis=axis, dtype=np.float32), -1, axis=axis)


def linear(x, weights, name):
    products = x[..., None, :] * weights[f"{name}.weight"]
    return in_sequence(products) + weights[f"{name}.bias"]


def mlp(tokens, weights, config, layer):
    name = f"blocks.{layer}"
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + config.layer_norm_eps)
    normed = centred / deviation * weights[f"{name}.norm2.weight"] + weights[f"{name}.norm2.bias"]
    hidden = linear(np.float32(normed), weights, f"{name}.mlp.fc1")
    active = np.float32(hidden * (1 + erf(hidden / np.sqrt(2))) / 2)
    return tokens + linear(active, weights, f"{name}.mlp.fc2")


def gradients(video, labels, weights, config):
    from spec_tests.ports import numpy_port

    loss, found = numpy_port.gradients(video, labels, weights, config)
    parts = [
        numpy_port.gradients(video[i : i + 1], labels[i : i + 1], weights, config)[1]
        for i in range(len(video))
    ]
    return loss, {n: in_sequence([p[n] for p in parts], axis=0) / len(video) for n in found}


@pytest.mark.parametrize("inputs", [257, 3072, 20_000])
def test_a_product_of_many_inputs(inputs):
    port = port_with(mlp=mlp)
    agree(port, case_of({**TINY, "MLP width": inputs}, "joint_space_time", port), "mlp")


def test_a_product_of_many_inputs_of_one_sign():
    """Whose partial sums are as large as the result, so that each rounds as much."""
    port = port_with(mlp=mlp)
    case = case_of({**TINY, "MLP width": 20_000}, "joint_space_time", port)
    bias, weight = (f"blocks.0.mlp.{name}" for name in ("fc1.bias", "fc2.weight"))
    changes = {bias: 8 + case.weights[bias], weight: abs(case.weights[weight])}
    agree(port, case, "mlp", weights=case.weights | changes)


def test_the_gradient_of_many_clips():
    port = port_with(gradients=gradients)
    agree(port, case_of({**TINY, "clips": 257}, "joint_space_time", port), "gradients")


@pytest.mark.parametrize("digits", [10, 13])
def test_factors_of_fewer_digits_are_still_a_mistake(digits):
    """Weights rounded to multiples of 2 ** -10, about as by TF32, or of 2 ** -13."""

    def cut(x):
        return np.float32(np.rint(x * 2.0**digits) / 2**digits)

    def shorter(tokens, weights, config, layer):
        name = f"blocks.{layer}.mlp.fc2.weight"
        return mlp(tokens, weights | {name: cut(weights[name])}, config, layer)

    port = port_with(mlp=shorter)
    case = case_of({**TINY, "MLP width": 257}, "joint_space_time", port)
    with pytest.raises(Nonconformance):
        agree(port, case, "mlp")


CONFIG = TimeSformerConfig(
    image_size=8, patch_size=2, num_frames=4, num_labels=7, attention_type="sparse_local_global",
    num_channels=1, hidden_size=12, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=5, qkv_bias=False,
)  # fmt: skip
DEEPER = replace(
    CONFIG, num_channels=2, hidden_size=18, num_hidden_layers=2, num_attention_heads=3,
    intermediate_size=2, num_labels=4, qkv_bias=True,
)  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        Case(CONFIG, clip=(3, 8, 1, 20, 12), seed=160, dtype="bfloat16"),
        Case(DEEPER, clip=(3, 8, 2, 16, 8), seed=0, dtype="float16"),
    ],
    ids=["bfloat16", "float16"],
)
def test_the_gradient_of_a_norm_is_summed_over_tokens_in_16_bits(case):
    """As PyTorch does on a CPU; in both cases its answer is farther off than sums in float32."""
    port = Port(getattr(variants, f"torch_{case.dtype}"), case.dtype)
    agree(port, case, "gradients")


def test_what_16_bits_cannot_hold_is_not_judged():
    """Tokens of which a norm sees the rounding more than the numbers."""
    flat = replace(
        CONFIG, patch_size=4, num_frames=4, hidden_size=4, num_hidden_layers=2,
        intermediate_size=12, num_labels=4,
    )  # fmt: skip
    case = Case(flat, clip=(3, 4, 1, 8, 8), seed=799, dtype="float16")
    right = variants.torch_float16
    agree(Port(right, "float16"), case, "gradients")

    def endless(*given):
        loss, found = right.gradients(*given)
        return loss, {name: np.inf * gradient for name, gradient in found.items()}

    port = Port(SimpleNamespace(**vars(right) | {"gradients": endless}), "float16")
    with pytest.raises(Nonconformance):
        agree(port, case, "gradients")
