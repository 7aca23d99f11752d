"""A clip on its way through the published model, with one block of its twelve."""

from __future__ import annotations

import numpy as np

from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.classifier import classifier
from timesformer_ref.numpy_blocks.divided_attention import block
from timesformer_ref.numpy_blocks.patchify import patchify
from timesformer_ref.numpy_blocks.time_embedding import time_embedding
from timesformer_ref.weights import part


def show(what: str, array: np.ndarray) -> None:
    """Print a shape."""
    print(f"{what:15}", " x ".join(map(str, array.shape)))


config = TimeSformerConfig(num_hidden_layers=1)
weights = initial_weights(config, seed=0)
video = np.random.default_rng(0).standard_normal((1, 8, 3, 224, 224), np.float32)

frames = patchify(video, weights, config)
tokens = time_embedding(frames, weights, config)
after, attentions = block(tokens, part(weights, "blocks.0"), config, config.grid)
logits = classifier(after, weights, config, frames=8)

show("clip", video)
show("patchify", frames)
show("time_embedding", tokens)
for step, attention in attentions.items():
    show(f"  {step}", attention)
show("block", after)
show("classifier", logits)
