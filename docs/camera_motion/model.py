"""The small model of camera moves and its initial values."""

from __future__ import annotations

from math import pi

import torch
from einops import rearrange
from jaxtyping import Float32
from torch import Tensor, nn

from docs.camera_motion.moves import LABELS
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.preprocessing import Preprocessing

CONFIG = TimeSformerConfig(
    image_size=24,
    patch_size=8,
    num_frames=8,
    hidden_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=384,
    num_labels=len(LABELS),
    drop_path_rate=0.0,
)
PREPROCESSING = Preprocessing(
    num_frames=8, sampling_rate=4, crop=24, single_crop_scale=24, num_crops=1, antialias=True
)
EASY = 0.2
"""The part of the run over which the scenes grow harder."""


def untrained(config: TimeSformerConfig = CONFIG, seed: int = 0) -> TimeSformer:
    """A model with initial values from which it can learn motion.

    The original's initial values suit a model whose patches were trained on images before. For one
    that was not, and is narrow, linear layers get the deviation 1 / sqrt(width), those after the
    temporal step included, and `time_embed` sinusoids of the size of the patches' own values: at
    zero the frames have no order, and a movement cannot be distinguished from its reverse.
    """
    torch.manual_seed(seed)
    model = TimeSformer(config)
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and not name.startswith("head."):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    if not config.separate_frames:
        model.time_embed.data.copy_(sinusoids(config.num_frames, config.hidden_size))
    return model


def sinusoids(frames: int, width: int) -> Float32[Tensor, "1 frames width"]:
    """Sinusoids over the frames, with periods from four frames to four times all of them."""
    rates = pi / 2 * frames ** -torch.linspace(0, 1, width // 2)
    angles = torch.outer(torch.arange(frames), rates)
    return rearrange([angles.sin(), angles.cos()], "wave t d -> 1 t (wave d)")
