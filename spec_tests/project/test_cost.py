"""Predicted cost is what PyTorch counts, and grows as the paper says."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from timesformer_ref.benchmark.cost import comparisons, multiply_adds
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.model import TimeSformer

VIT_BASE = TimeSformerConfig()


@pytest.mark.parametrize("attention_type", SCHEMES)
def test_prediction_is_what_pytorch_counts(attention_type):
    config = replace(VIT_BASE, attention_type=attention_type, num_hidden_layers=2)
    with torch.device("meta"):
        model, video = TimeSformer(config), torch.empty(1, 4, 3, 64, 96)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(video)
    predicted = multiply_adds(config, config.clip_grid(video.shape))
    assert list(predicted) == ["patchify", *SCHEMES[attention_type], "mlp", "classifier"]
    assert counter.get_total_flops() == 2 * sum(predicted.values())


def test_three_views_cost_what_the_paper_says():
    assert round(3 * sum(multiply_adds(VIT_BASE).values()) / 1e12, 2) == 0.59


@pytest.mark.parametrize(
    ("attention_type", "expected"),
    [
        ("space_only", 196 + 1),
        ("joint_space_time", 8 * 196 + 1),
        ("divided_space_time", 8 + 196 + 1),
        ("sparse_local_global", 8 * 49 + 4 * 49 + 1),
        ("axial", 8 + 14 + 14 + 1),
    ],
)
def test_comparisons_of_a_patch(attention_type, expected):
    assert comparisons(replace(VIT_BASE, attention_type=attention_type)) == expected
