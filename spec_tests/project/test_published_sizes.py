"""The published geometry: what is stored of it, and which ports are asked."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from spec_tests.harness import full_size, reference
from spec_tests.harness.arithmetic import each_array
from spec_tests.harness.errors import NotRun
from spec_tests.harness.full_size import (
    PUBLISHED,
    SMALL,
    Published,
    patience,
    predicted,
    question,
)
from spec_tests.harness.porting import Port, find_port
from spec_tests.project.closeness import assert_close
from spec_tests.test_published_sizes import RULES
from timesformer_ref.benchmark.cost import multiply_adds

NUMPY = "spec_tests.ports.variants:numpy_float64"


@pytest.fixture
def numpy_port():
    return find_port(NUMPY)


def test_every_call_has_a_requirement():
    assert RULES.keys() == PUBLISHED.keys()


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        (1.2, "full size: would take about 2 minutes; --full-size runs it"),
        (0.7, "full size: would take about 1 minute; --full-size runs it"),
        (100, "full size: would take about 160 minutes; --full-size runs it"),
    ],
)
def test_a_slow_port_is_asked_only_if_that_is_wanted(numpy_port, monkeypatch, pace, words):
    monkeypatch.setattr(full_size, "pace", lambda port: pace)
    with pytest.raises(NotRun) as reason:
        predicted(numpy_port, "ViT-Base, 8 × 224", unhurried=False)
    assert str(reason.value) == words
    seconds = predicted(numpy_port, "ViT-Base, 8 × 224", unhurried=True)
    assert seconds == pytest.approx(96 * pace)
    assert patience(seconds) == pytest.approx(96 * pace * 5 / 10)


def test_a_fast_one_is_asked_with_patience(numpy_port, monkeypatch):
    monkeypatch.setattr(full_size, "pace", lambda port: 0.01)
    assert patience(predicted(numpy_port, "HR, spatial step", unhurried=False)) == 5


def test_a_model_that_does_not_run_at_all_is_not_run_at_full_size():
    def forward(video, weights, config):
        raise IndexError(768)

    with pytest.raises(NotRun, match="forward fails for one block"):
        predicted(Port(SimpleNamespace(forward=forward), "port"), "HR, spatial step", False)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_judged_is_stored(name):
    judged = load_file(full_size.FILE)
    assert np.isfinite(judged[f"{name}.expected"]).all()
    float64, float32, bfloat16, float16 = judged[f"{name}.bounds"]
    assert 0 < float64 < float32 < float16 < bfloat16


def test_the_tokens_that_are_compared_come_from_everywhere():
    for name in ("HR, spatial step", "96 frames, temporal step"):
        t, h, w = PUBLISHED[name].case.grid
        token = np.arange(1 + t * h * w)[PUBLISHED[name].look[1]][1:] - 1
        assert len(set(token % t)) > 10
        assert len(set(token // t % w)) > 10
        assert len(set(token // t // w)) > 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_time_is_predicted_by_multiply_adds(name):
    small = sum(multiply_adds(Published(SMALL, None, 1, ...).case.config).values())
    config, step = PUBLISHED[name].case.config, PUBLISHED[name].step
    parts = multiply_adds(config)
    taken = parts[step] if step else sum(parts.values())
    assert taken / small == pytest.approx(PUBLISHED[name].times, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_numpy_implementation_gives_the_originals_numbers(numpy_port, name):
    asked = question(numpy_port, name)
    arguments = each_array(np.float64, asked.arguments)
    found = getattr(reference, asked.function)(*arguments.values())
    assert_close(found[asked.look], asked.expected[""][asked.look], name)


@pytest.mark.slow
@pytest.mark.skipif("TIMESFORMER_ORIGINAL" not in os.environ, reason="needs the original")
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_original_in_float32_is_within_the_bounds(name):
    asked = question(find_port("spec_tests.ports.original_port"), name)
    asked.compare(asked.answer(), asked.expected)
