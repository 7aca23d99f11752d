"""Runs of a very small model on clips made from their number."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from spec_tests.project.tiny import checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.training.loop import train
from timesformer_ref.training.recipe import Recipe

RECIPE = Recipe(epochs=None, steps=5, batch_size=4, learning_rate=0.02)
SIZE = {"image_size": 16, "num_frames": 2, "hidden_size": 16, "intermediate_size": 16}


class Clips(Dataset):
    """Noise, brighter for a higher class; with a length, views to be evaluated."""

    def __getitem__(self, k):
        label = k % 5
        noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(k))
        return noise + label - 2, label


class Views(Clips):
    def __getitem__(self, i):
        clip, label = super().__getitem__(1000 + i)
        return torch.stack([clip, -clip.flip(-1)]), label

    def __len__(self):
        return 7


def model(**fields):
    return TimeSformer.from_checkpoint(checkpoint(**{**SIZE, "num_attention_heads": 2, **fields}))


def losses(recipe=RECIPE, **how):
    """The losses of a whole run, in this process or as one of several."""
    return train(model(), Clips(), recipe, **how).losses
