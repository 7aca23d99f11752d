"""Weights to start from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spec_tests.golden_vectors import golden
from timesformer_ref.config import SCHEMES, TimeSformerConfig
from timesformer_ref.initialise import weights_from_image_vit
from timesformer_ref.weights import count_parameters, part, weight_table

COUNTS = {
    "space_only": 86_106_256,
    "joint_space_time": 86_112_400,
    "divided_space_time": 121_566_352,
    "sparse_local_global": 121_566_352,
    "axial": 157_020_304,
}


@pytest.mark.parametrize(("attention_type", "parameters"), COUNTS.items())
def test_the_number_of_parameters_is_the_originals(attention_type, parameters):
    assert count_parameters(TimeSformerConfig(attention_type=attention_type)) == parameters


@pytest.mark.parametrize("name", ["image_vit_init", "image_vit_init_larger_frame"])
def test_weights_from_an_image_vit_are_the_originals_bit_for_bit(name):
    case = golden(name)
    vit, expected = part(case.tensors, "in"), part(case.tensors, "out")
    found = weights_from_image_vit(vit, case.config)
    assert found.keys() - expected.keys() == set(json.loads(case.metadata["untouched"]))
    for weight, value in expected.items():
        assert found[weight].dtype == value.dtype
        assert np.array_equal(found[weight], value), weight


@pytest.mark.parametrize("attention_type", sorted(SCHEMES))
def test_fresh_weights_are_distributed_as_the_originals(port, attention_type):
    config = TimeSformerConfig(
        image_size=32, patch_size=8, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, attention_type=attention_type, num_labels=50,
    )  # fmt: skip
    weights = port.initial_weights(config, 3)
    table = weight_table(config)
    assert {n: w.shape for n, w in weights.items()} == {n: w.shape for n, w in table.items()}
    for name, weight in weights.items():
        assert weight.dtype == np.float32
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
            assert (weight == 1).all(), name
        elif name.startswith("patch_embed"):
            bound = (3 * 8 * 8) ** -0.5
            assert np.abs(weight).max() <= bound
            assert weight.size < 1000 or weight.std() == pytest.approx(bound / 3**0.5, rel=0.02)
        elif name == "time_embed" or name.endswith("bias") or "_fc." in name:
            assert (weight == 0).all(), name
        else:
            error = 0.02 * 4 / (2 * weight.size) ** 0.5
            assert weight.std() == pytest.approx(0.02, abs=error), name
            assert abs(weight.mean()) < 0.02 * 4 / weight.size**0.5, name


def test_fresh_weights_are_a_function_of_the_seed(port):
    config = TimeSformerConfig(
        image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, num_labels=2,
    )  # fmt: skip
    first, again, other = (port.initial_weights(config, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[n], again[n]) for n in first)
    assert not np.array_equal(first["pos_embed"], other["pos_embed"])
