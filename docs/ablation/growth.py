"""How the cost of a clip grows with frames and with frame size (paper, figure 3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.model import TimeSformer

FRAMES = (8, 16, 32, 64, 96)
SIZES = (128, 224, 320, 448, 576)
CLIPS = [(frames, 224) for frames in FRAMES] + [(8, size) for size in SIZES if size != 224]
"""Number of frames, and their height and width in pixels."""


def grow(config: TimeSformerConfig | None = None) -> list[dict[str, Any]]:
    """Predicted and counted multiply-adds of every scheme on every clip, by default of ViT-Base."""
    rows = []
    for scheme in SCHEMES:
        model_config = replace(config or TimeSformerConfig(), attention_type=scheme)
        for frames, size in CLIPS:
            grid = model_config.clip_grid((1, frames, model_config.num_channels, size, size))
            rows.append(
                {
                    "attention_type": scheme,
                    "frames": frames,
                    "size": size,
                    "predicted": sum(multiply_adds(model_config, grid).values()),
                    "counted": count(model_config, frames, size),
                }
            )
    return rows


def count(config: TimeSformerConfig, frames: int, size: int) -> int:
    """Multiply-adds that PyTorch counts while the model runs, on tensors without data."""
    with torch.device("meta"):
        model = TimeSformer(config).eval()
        video = torch.empty(1, frames, config.num_channels, size, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(video)
    return int(counter.get_total_flops()) // 2
