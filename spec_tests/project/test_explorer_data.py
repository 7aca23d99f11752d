"""The attention explorer shows what a block of the NumPy implementation does."""

from __future__ import annotations

from importlib import import_module
from math import prod
from pathlib import Path

import numpy as np
import pytest
from einops import rearrange, reduce, repeat

from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.divided_attention import attention_step, block
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.weights import part

ROOT = Path(__file__).parents[2]
WIDTH = 8

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the checkout")


@pytest.fixture(scope="module")
def explorer():
    return import_module("docs.making.explorer_data").explorer_data()


def small_model(scheme):
    """A config of narrow tokens, and weights of one block that let every token matter."""
    config = TimeSformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=2,
        num_hidden_layers=1,
        intermediate_size=WIDTH,
        attention_type=scheme,
    )
    rng = np.random.default_rng(0)
    shapes = {name: weight.shape for name, weight in initial_weights(config, 0).items()}
    weights = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    return config, part(weights, "blocks.0")


def to_model(tokens, config, grid):
    """From the page's order, frame by frame, to that between blocks."""
    t, h, w = grid
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    if config.separate_frames:
        class_token = repeat(class_token, "b 1 d -> (b t) 1 d", t=t)
        patches = rearrange(patches, "b (t n) d -> (b t) n d", t=t)
    else:
        patches = rearrange(patches, "b (t h w) d -> b (h w t) d", t=t, h=h, w=w)
    return np.concatenate([class_token, patches], axis=1)


def to_page(tokens, config, grid):
    """The way back."""
    t, h, w = grid
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    if config.separate_frames:
        class_token = reduce(class_token, "(b t) 1 d -> b 1 d", "mean", t=t)
        patches = rearrange(patches, "(b t) n d -> b (t n) d", t=t)
    else:
        patches = rearrange(patches, "b (h w t) d -> b (t h w) d", t=t, h=h, w=w)
    return np.concatenate([class_token, patches], axis=1)


def changes(run, config, grid):
    """Which token's result changes (row) when which token is changed (column)."""
    rng = np.random.default_rng(1)
    count = 1 + prod(grid)
    tokens = rng.normal(size=(count, WIDTH))
    changed = tokens + np.eye(count)[:, :, np.newaxis] * rng.normal(size=WIDTH)
    results = to_page(run(to_model(np.stack([tokens, *changed]), config, grid)), config, grid)
    return (np.abs(results[1:] - results[0]).max(axis=-1) > 1e-12).T


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_patch_attends_to_what_changes_its_result(explorer, scheme):
    config, weights = small_model(scheme)
    grid = explorer["grid"]
    for step in explorer["schemes"][scheme]["steps"]:
        group = np.array(step["groups"][1:])
        shown = np.eye(1 + len(group), dtype=bool)
        shown[1:, 1:] = group[:, np.newaxis] == group
        shown[0, 1:] = shown[1:, 0] = step["class_token"]

        def run(tokens, name=step["name"]):
            return attention_step(tokens, weights, config, grid, name)[0]

        np.testing.assert_array_equal(changes(run, config, grid), shown, step["name"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_information_comes_from_what_changes_a_result_within_a_block(explorer, scheme):
    config, weights = small_model(scheme)
    grid = explorer["grid"]
    shown = [[mark == "1" for mark in row] for row in explorer["schemes"][scheme]["reaches"]]
    found = changes(lambda tokens: block(tokens, weights, config, grid)[0], config, grid)
    np.testing.assert_array_equal(found, shown)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_comparisons_are_the_attention_weights_of_a_block(explorer, scheme):
    config, weights = small_model(scheme)
    for title, rows in explorer["schemes"][scheme]["comparisons"].items():
        grid = tuple(map(int, title.split(" × ")))
        tokens = to_model(np.zeros((1, 1 + prod(grid), WIDTH)), config, grid)
        sizes = [(len(a), a.shape[-1]) for a in block(tokens, weights, config, grid)[1].values()]
        *earlier, (groups, members) = sizes
        assert [row["all"] for row in rows[:-1]] == [g * m**2 for g, m in sizes]
        assert [row["patch"] for row in rows[:-1]] == [m for _, m in sizes]
        assert [row["class_token"] for row in rows[:-1]] == [0 for _ in earlier] + [
            groups * members
        ]
        assert rows[-1] == {who: sum(row[who] for row in rows[:-1]) for who in rows[-1]}
