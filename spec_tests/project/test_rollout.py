"""Attention rollout, against a matrix of all tokens that is filled one entry at a time."""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np
import pytest

from spec_tests.project.closeness import assert_close
from spec_tests.project.tiny import checkpoint
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.use.rollout import frame_attention, rollout

CLIPS, GRID = 2, (4, 2, 6)
T, H, W = GRID
PATCHES = list(product(*map(range, GRID)))

GROUPS = {
    "spatial": (lambda t, h, w: (t,), lambda t, h, w: (h, w)),
    "joint": (lambda t, h, w: (), lambda t, h, w: (h, w, t)),
    "temporal": (lambda t, h, w: (h, w), lambda t, h, w: t),
    "width": (lambda t, h, w: (t, h), lambda t, h, w: w),
    "height": (lambda t, h, w: (t, w), lambda t, h, w: h),
    "local": (lambda t, h, w: (h // (H // 2), w // (W // 2)), lambda t, h, w: (t, h, w)),
    "global": (lambda t, h, w: (t % 2, h % 2, w % 2), lambda t, h, w: (t, h, w)),
}
"""For each step, which group a patch is in, and what patches are sorted by in their group."""


@pytest.fixture(scope="module", params=product(SCHEMES, (1, 2)), ids="{0[0]}-{0[1]}".format)
def looked(request):
    """The attention weights of two clips, and the model they are of: of one block, or of two."""
    scheme, depth = request.param
    start = checkpoint(attention_type=scheme, num_hidden_layers=depth)
    video = np.random.default_rng(0).normal(0, 1, (CLIPS, 4, 3, 16, 48))
    weights = start.arrays(np.float64)
    return forward(video, weights, start.config, output_attentions=True).attentions, start.config


def groups_of(step):
    """The patches of each group, in order."""
    key, order = GROUPS[step]
    keys = sorted({key(*patch) for patch in PATCHES})
    return [
        sorted((p for p in PATCHES if key(*p) == k), key=lambda patch: order(*patch)) for k in keys
    ]


def mixture(step, attention, last, class_tokens):
    """How a step mixes the tokens of a clip, dense: first the class tokens, then PATCHES.

    attention: that of the clip's groups, averaged over heads.
    """
    size = class_tokens + len(PATCHES)
    mixed, groups = np.zeros((size, size)), groups_of(step)
    if not last:
        mixed[0, 0] = 1
    copies = len(groups) // class_tokens
    for number, group in enumerate(groups):
        places = [class_tokens + PATCHES.index(patch) for patch in group]
        if last:
            places = [number // copies, *places]
        for i, j in product(range(len(places)), repeat=2):
            part = 1 / copies if places[i] < class_tokens else 1
            mixed[places[i], places[j]] += part * attention[number, i, j]
    return (np.eye(size) + mixed) / 2


def test_rollout_is_the_product_of_all_mixtures(looked):
    attentions, config = looked
    class_tokens = T if config.separate_frames else 1
    shares = rollout(attentions, config, GRID)
    for clip in range(CLIPS):
        mixtures = [
            mixture(
                step,
                np.split(block[step], CLIPS)[clip].mean(axis=1),
                step == config.steps[-1],
                class_tokens,
            )
            for block in attentions
            for step in config.steps
        ]
        for mixed in mixtures:
            np.testing.assert_allclose(mixed.sum(axis=1), 1)
        whole = reduce(lambda earlier, later: later @ earlier, mixtures)
        answer = whole[:class_tokens].mean(axis=0)
        expected = answer[class_tokens:].reshape(GRID)
        assert_close(shares[clip], expected, f"the shares of clip {clip}")
        assert_close(1 - shares[clip].sum(), answer[:class_tokens].sum(), "the class token's own")


def test_attention_between_frames_is_the_mean_over_places_and_heads(looked):
    attentions, config = looked
    across = set(config.steps) - {"spatial", "width", "height"}
    for block, found in zip(attentions, frame_attention(attentions, config, GRID), strict=True):
        assert set(found) == across
        for step in across:
            expected = np.zeros((CLIPS, T, T))
            patches = block[step][..., -len(groups_of(step)[0]) :, -len(groups_of(step)[0]) :]
            for clip, weights in enumerate(np.split(patches, CLIPS)):
                for group, per_head in zip(groups_of(step), weights, strict=True):
                    for (i, seer), (j, seen) in product(enumerate(group), repeat=2):
                        expected[clip, seer[0], seen[0]] += per_head[:, i, j].mean() / (H * W)
            assert_close(found[step], expected, f"{step}, frame by frame")


def test_shares_keep_the_type_of_the_weights(looked):
    attentions, config = looked
    narrow = [{step: np.float32(a) for step, a in block.items()} for block in attentions]
    assert rollout(narrow, config, GRID).dtype == np.float32
    for block in frame_attention(narrow, config, GRID):
        assert {matrix.dtype for matrix in block.values()} <= {np.dtype(np.float32)}
