"""Each frame's place in time."""

from __future__ import annotations

import numpy as np
import pytest

from spec_tests.golden_vectors import BOUNDS, MODELS, assert_close, golden


@pytest.mark.parametrize("name", MODELS)
def test_tokens_that_enter_block_0_are_the_originals(port, prepare, dtype, name):
    case = golden(name)
    video, weights = case.inputs(dtype)
    ready = prepare(weights, case.config)
    tokens = port.time_embedding(port.patchify(video, ready, case.config), ready, case.config)
    assert tokens.dtype == dtype
    assert_close(tokens, case.tensors["out.embeddings"], BOUNDS[dtype], "the embedded clip")


def test_the_class_token_gets_no_time(port, prepare):
    case = golden("divided")
    video, weights = case.inputs(np.float64)
    frames = port.patchify(video, prepare(weights, case.config), case.config)
    tokens = port.time_embedding(frames, prepare(weights, case.config), case.config)
    assert np.array_equal(tokens[:, 0], frames[:, 0, 0])
