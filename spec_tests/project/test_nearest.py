"""The nearest resize takes the original's entries, rounding included."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spec_tests.harness.golden_vectors import FOLDER, golden
from timesformer_ref.numpy_blocks import layers as numpy_layers
from timesformer_ref.torch_blocks import layers as torch_layers

PAIRS = json.loads((FOLDER / "nearest_resize.json").read_text())["pairs"]
"""The places of a resize whose entry is not that of exact arithmetic: place, exact, actual."""


def torch_nearest(size, new_size):
    return torch_layers.nearest(size, new_size).numpy()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("nearest", [numpy_layers.nearest, torch_nearest], ids=["numpy", "torch"])
def test_every_pair_of_sizes_up_to_128(nearest):
    for size in range(1, 129):
        for new_size in range(1, 129):
            expected = np.arange(new_size) * size // new_size
            for place, exact, actual in PAIRS.get(f"{size}->{new_size}", []):
                assert expected[place] == exact
                expected[place] = actual
            found = nearest(size, new_size)
            assert np.array_equal(found, expected), f"{size} resized to {new_size}: {found}"


def test_a_grid_one_patch_wide_is_resized_to_its_true_height(ours):
    case = golden("space_only")
    zero = ("cls_token", "patch_embed.proj.weight", "patch_embed.proj.bias")
    weights = case.weights | {n: np.zeros_like(case.weights[n]) for n in zero}
    weights["pos_embed"] = np.arange(17.0)[None, :, None] + np.zeros((1, 17, 32))
    column = np.concatenate([case.video, case.video], axis=3)[..., :8]
    tokens = ours.call("patchify", column, weights, case.config)
    assert tokens[0, 0, :, 0].tolist() == [0, 1, 1, 5, 5, 9, 9, 13, 13]
