"""Logits by hand, and why a space-only model averages its frames before the last norm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.classifier import classifier, final_norm
from timesformer_ref.numpy_blocks.layers import softmax

weights = {
    "norm.weight": np.ones(4),
    "norm.bias": np.zeros(4),
    "head.weight": np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "head.bias": np.array([0.0, 0, -1]),
}


def show(what: str, numbers: np.ndarray) -> None:
    """Print a line of numbers."""
    print(f"{what:13}", *(f"{number:6.2f}" for number in numbers))


divided = TimeSformerConfig(hidden_size=4, num_attention_heads=1, num_labels=3)
class_token = np.array([1.0, 3, 5, 7])
patch = np.array([9.0, 9, 9, 0])
tokens = np.stack([class_token, patch])[None]
logits = classifier(tokens, weights, divided, frames=1)
show("class token", class_token)
show("normed", final_norm(tokens, weights, divided, frames=1)[0, 0])
show("logits", logits[0])
show("softmax", softmax(logits)[0])

space_only = replace(divided, attention_type="space_only")
frames = np.array([[class_token], [[40, 0, 0, 0]]])
print("\nSpace-only, two frames:")
show("mean, norm", classifier(frames, weights, space_only, frames=2)[0])
show("norm, mean", classifier(frames, weights, divided, frames=1).mean(axis=0))
