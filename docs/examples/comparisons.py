"""With how many tokens a patch is compared in one block, for three published sizes of clips."""

from __future__ import annotations

from timesformer_ref.benchmark.cost import comparisons
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES

CLIPS = {"8 x 224": (8, 14, 14), "16 x 448": (16, 28, 28), "96 x 224": (96, 14, 14)}

print(f"{'':8}", *(f"{name:>9}" for name in CLIPS))
for scheme in SCHEMES:
    config = TimeSformerConfig(attention_type=scheme)
    print(
        f"{scheme.split('_')[0]:8}", *(f"{comparisons(config, grid):9,}" for grid in CLIPS.values())
    )
