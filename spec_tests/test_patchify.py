"""Patches, class token and positions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from einops import rearrange

from spec_tests.golden_vectors import BOUNDS, FOLDER, MODELS, assert_close, golden
from timesformer_ref.numpy_blocks import layers as numpy_layers
from timesformer_ref.torch_blocks import layers as torch_layers

PAIRS = json.loads((FOLDER / "nearest_resize.json").read_text())["pairs"]


def torch_nearest(size, new_size):
    return torch_layers.nearest(size, new_size, torch.device("cpu")).numpy()


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("space_only")])
def test_tokens_that_enter_block_0_of_a_space_only_model_are_the_originals(
    port, prepare, dtype, name
):
    case = golden(name)
    video, weights = case.inputs(dtype)
    tokens = port.patchify(video, prepare(weights, case.config), case.config)
    expected = rearrange(case.tensors["out.embeddings"], "(b t) s d -> b t s d", b=len(video))
    assert tokens.dtype == dtype
    assert_close(tokens, expected, BOUNDS[dtype], "patchify")


@pytest.mark.parametrize("name", MODELS)
def test_patches_without_positions_are_the_originals(port, prepare, dtype, name):
    case = golden(name)
    video, weights = case.inputs(dtype)
    weights = weights | {n: np.zeros_like(weights[n]) for n in ("pos_embed", "cls_token")}
    tokens = port.patchify(video, prepare(weights, case.config), case.config)
    patches = rearrange(tokens[:, :, 1:], "b t n d -> (b t) n d")
    assert_close(patches, case.tensors["out.patch_embed"], BOUNDS[dtype], "the patch projection")


@pytest.mark.parametrize("nearest", [numpy_layers.nearest, torch_nearest])
def test_nearest_resize_takes_the_originals_source_index_for_every_pair_of_sizes(nearest):
    for size in range(1, 129):
        for new_size in range(1, 129):
            expected = np.arange(new_size) * size // new_size
            for place, exact, actual in PAIRS.get(f"{size}->{new_size}", []):
                assert expected[place] == exact
                expected[place] = actual
            found = nearest(size, new_size)
            assert np.array_equal(found, expected), f"{size} resized to {new_size}: {found}"


def test_a_grid_one_patch_wide_is_resized_to_its_true_height(port, prepare):
    case = golden("space_only")
    video, weights = case.inputs(np.float64)
    weights["pos_embed"] = np.arange(17.0)[None, :, None] + np.zeros((1, 17, 32))
    flat = {n: np.zeros_like(weights[n]) for n in ("cls_token", "patch_embed.proj.weight")}
    flat["patch_embed.proj.bias"] = np.zeros(32)
    column = np.concatenate([video, video], axis=3)[..., :8]
    tokens = port.patchify(column, prepare(weights | flat, case.config), case.config)
    assert tokens[0, 0, :, 0].tolist() == [0, 1, 1, 5, 5, 9, 9, 13, 13]
