"""Parameters and multiply-adds of the published model, part by part."""

from __future__ import annotations

from collections import Counter
from math import prod

from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.weights import weight_table

PARTS = {
    "temporal_": "temporal",
    "mlp.": "mlp",
    "norm2.": "mlp",
    "attn.": "spatial",
    "norm1.": "spatial",
    "head.": "classifier",
    "norm.": "classifier",
}


def part_of(name: str) -> str:
    """The part of the model to which a weight belongs; what is no other's is patchify's."""
    return next((part for start, part in PARTS.items() if start in name), "patchify")


config = TimeSformerConfig()
parameters: Counter[str] = Counter()
for name, weight in weight_table(config).items():
    parameters[part_of(name)] += prod(weight.shape)
operations = multiply_adds(config)

print(f"{'':10} {'parameters':>11} {'multiply-adds':>14}")
for part, count in operations.items():
    print(f"{part:10} {parameters[part]:11,} {count:14,}")
print(f"{'total':10} {parameters.total():11,} {sum(operations.values()):14,}")
