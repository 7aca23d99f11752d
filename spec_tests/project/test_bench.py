"""What the benchmark compares: the same work, of the same answers."""

import pytest
import torch

from spec_tests.project.tiny import CONFIG
from timesformer_ref.bench import FLOOR, PEER, linear_layers, report, runners, time_runners
from timesformer_ref.config import SCHEMES, TimeSformerConfig
from timesformer_ref.cost import group_shape, multiply_adds


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_products_are_those_of_the_model_without_its_attention(scheme):
    config = TimeSformerConfig(attention_type=scheme)
    d, depth = config.hidden_size, config.num_hidden_layers
    attention = 0
    for step in config.steps:
        groups, members = group_shape(step, config.grid)
        attention += depth * 2 * groups * (members + (step == config.steps[-1])) ** 2 * d
    found = sum(rows * i * o for rows, i, o in linear_layers(config))
    assert found + attention == sum(multiply_adds(config).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_that_are_timed_give_the_same_answer(dtype):
    pytest.importorskip("transformers")
    timings = time_runners(runners(CONFIG, dtype), repeats=2)
    names = [timing.name for timing in timings]
    assert names[0] == PEER
    assert names[-1] == FLOOR
    assert ("timesformer_ref (NumPy)" in names) == (dtype == torch.float32)
    for timing in timings[:-1]:
        assert timing.difference is not None
        assert timing.difference < (1e-4 if dtype == torch.float32 else 0.1), timing.name
    assert timings[-1].difference is None
    assert report(CONFIG, dtype, timings)["dtype"] == str(dtype).split(".")[1]
