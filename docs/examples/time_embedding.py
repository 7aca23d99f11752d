"""The order of the tokens, and a table of eight frames for clips of other lengths."""

from __future__ import annotations

import numpy as np

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import nearest
from timesformer_ref.numpy_blocks.time_embedding import time_embedding

config = TimeSformerConfig(hidden_size=1, num_attention_heads=1, num_frames=3)
frames = np.array([[[9.0, 1, 2], [9, 3, 4], [9, 5, 6]]])[..., None]  # b t (1 + n) d
weights = {"time_embed": np.array([100.0, 200, 300]).reshape(1, 3, 1)}

print("frame  class  A  B")
for number, tokens in enumerate(frames[0, :, :, 0].astype(int)):
    print(f"{number:5}  {tokens[0]:5}  {tokens[1]}  {tokens[2]}")
print("tokens", *time_embedding(frames, weights, config)[0, :, 0].astype(int))

print("\nentries of a table of 8 for a clip of")
for length in (4, 6, 8, 12):
    print(f"{length:2} frames:", *nearest(8, length))
