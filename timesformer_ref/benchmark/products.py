"""The lower limit: the original's linear layers as bare products, with nothing between them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch

from timesformer_ref.benchmark.cost import group_shape
from timesformer_ref.config import TimeSformerConfig


def linear_layers(config: TimeSformerConfig) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of every product with weights, as the original computes a clip."""
    d, hidden, patches = config.hidden_size, config.intermediate_size, prod(config.grid)
    block: list[tuple[int, int, int]] = []
    for step in config.steps:
        groups, members = group_shape(step, config.grid)
        last = step == config.steps[-1]
        rows = groups * (members + last)
        block += [(rows, d, 3 * d), (rows, d, d)] + ([] if last else [(patches, d, d)])
    tokens = patches + (config.num_frames if config.separate_frames else 1)
    block += [(tokens, d, hidden), (tokens, hidden, d)]
    pixels = config.num_channels * config.patch_size**2
    head = (1, d, config.num_labels)
    return [(patches, pixels, d), *block * config.num_hidden_layers, head]


def products(
    config: TimeSformerConfig, dtype: torch.dtype, device: str = "cpu", batch: int = 1
) -> Callable[[], None]:
    """All products of `linear_layers`, each with weights of its own, for a batch of clips."""
    layers = [(batch * rows, i, o) for rows, i, o in linear_layers(config)]
    tokens = {(rows, i): torch.randn(rows, i).to(device, dtype) for rows, i, _ in layers}
    weights = [torch.randn(o, i).to(device, dtype) for _, i, o in layers]

    def run() -> None:
        for (rows, i, _), weight in zip(layers, weights, strict=True):
            tokens[rows, i] @ weight.T

    return run
