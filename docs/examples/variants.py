"""The three sizes of the published models: tokens, parameters, multiply-adds of one view."""

from __future__ import annotations

from math import prod

from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.checkpoints.variants import VARIANTS
from timesformer_ref.weights import count_parameters

print(f"{'':14} {'clip':>8} {'tokens':>6} {'params':>6} {'T':>4} {'top-1':>5}")
for variant in VARIANTS:
    if variant.dataset == "K400":
        config = variant.config
        clip = f"{config.num_frames} x {config.image_size}"
        millions = f"{count_parameters(config) / 1e6:.1f}M"
        operations = f"{sum(multiply_adds(config).values()) / 1e12:.2f}"
        tokens = 1 + prod(config.grid)
        print(f"{variant.model:14} {clip:>8} {tokens:6} {millions} {operations} {variant.top1:5}")
