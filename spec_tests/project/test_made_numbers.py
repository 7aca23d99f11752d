"""Inputs are the generator's numbers, as the specification says; the table of sizes is whole."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spec_tests.harness import numbers as generator
from spec_tests.harness.cases import Case
from spec_tests.harness.porting import find_port
from spec_tests.harness.sizes import AXES, TINY, cases

PAGE = Path(__file__).parents[2] / "docs" / "specification.md"
CONFIG = {"image_size": 6, "patch_size": 3, "hidden_size": 12, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def number():
    """The generator of the page."""
    names = {}
    exec(re.search(r"```py\n(def number.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1], names)
    return names["number"]


def key(name):
    """As the page says in words."""
    found = 2166136261
    for byte in name.encode():
        found = (found ^ byte) * 16777619 % 2**32
    return found


@pytest.mark.parametrize(
    ("name", "scale", "centre"),
    [
        ("blocks.10.attn.qkv.weight", 1.0, 0.0),  # of 12 inputs: 4 ** 2 is above 12
        ("blocks.10.mlp.fc2.weight", 2.0**-5, 0.0),  # of 3,072
        ("blocks.0.temporal_attn.qkv.bias", 1.0, 0.0),
        ("blocks.11.norm1.weight", 0.25, 1.0),
        ("norm.bias", 0.25, 0.0),
        ("pos_embed", 1.0, 0.0),
        ("time_embed", 1.0, 0.0),
        ("patch_embed.proj.weight", 2.0**-2, 0.0),  # of 27
    ],
)
def test_weights_are_as_the_specification_makes_them(number, name, scale, centre):
    found = Case(CONFIG, (1, 1, 3, 6, 6), seed=7).weights[name].reshape(-1)
    expected = [centre + scale * number(key(f"7 {name}"), i) for i in range(len(found))][:200]
    assert found[:200].tolist() == expected
    assert np.array_equal(found, np.float32(found))


def test_a_video_and_tokens_are_too(number):
    case = Case(CONFIG, (1, 2, 3, 6, 6), seed=3)
    for name, array in {"video": case.video, "tokens": case.tokens}.items():
        expected = [2 * number(key(f"3 {name}"), i) for i in range(array.size)]
        assert array.reshape(-1).tolist() == expected


def test_numbers_are_spread_evenly():
    x = generator.numbers("0 tokens", (1000, 1000)).astype(np.float64)
    assert abs(x.mean()) < 5 / np.sqrt(3e6)
    assert abs(np.square(x).mean() - 1 / 3) < 1e-3
    largest = np.linalg.svd(x, compute_uv=False)[0]  # of independent numbers: 2 sqrt(1000 / 3)
    assert largest < 37


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_a_row_grows_the_axes_that_it_names(axis):
    port = find_port("spec_tests.ports.numpy_port")
    for sizes in axis.sizes():
        assert sizes.keys() <= TINY.keys() | {"side", "trained"}
    for asked in axis.asked:
        assert list(cases(port, axis, asked))
