"""One block by hand: each token is a pair (x, -x), of which a norm leaves the sign."""

from __future__ import annotations

import numpy as np

from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.divided_attention import attention_step, feed_forward
from timesformer_ref.weights import part

GRID = 2, 1, 2  # two frames of one row of two patches, A and B
NAMES = "class token", "A, frame 0", "A, frame 1", "B, frame 0", "B, frame 1"

config = TimeSformerConfig(hidden_size=2, num_attention_heads=1, intermediate_size=2)
weights = part(initial_weights(config, seed=0), "blocks.0")
x = np.array([3.0, 5, 2, 1, -4])
tokens = np.stack([x, -x], axis=-1)[None]

after, _ = attention_step(tokens, weights, config, GRID, "temporal")
print("At the start the temporal step adds", np.abs(after - tokens).max())

for step in ("temporal_attn", "attn"):  # queries and keys of zero: attention is the mean
    weights[f"{step}.qkv.weight"] = np.vstack([np.zeros((4, 2)), np.eye(2)])
    weights[f"{step}.proj.weight"] = np.eye(2)
for layer in ("temporal_fc", "mlp.fc1", "mlp.fc2"):
    weights[f"{layer}.weight"] = np.eye(2)

stages = [tokens]
for step in config.steps:
    tokens, _ = attention_step(tokens, weights, config, GRID, step)
    stages.append(tokens)
stages.append(feed_forward(tokens, weights, config))

print(f"\n{'x of':11} enters   time  space    MLP")
for name, *numbers in zip(NAMES, *(stage[0, :, 0] for stage in stages), strict=True):
    print(f"{name:11}", *(f"{number:6.2f}" for number in numbers))
