"""A frame of 4 x 6 pixels becomes seven tokens of two numbers."""

from __future__ import annotations

import numpy as np

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.patchify import patch_embed, patch_pixels, patchify, positions

config = TimeSformerConfig(
    image_size=4, patch_size=2, num_channels=1, hidden_size=2, num_attention_heads=1
)
weights = {
    "patch_embed.proj.weight": np.array([[[[0.25, 0.25], [0.25, 0.25]]], [[[-1, 1], [-1, 1]]]]),
    "patch_embed.proj.bias": np.zeros(2),
    "cls_token": np.array([[[7.0, 7.0]]]),
    "pos_embed": np.array([[[100.0 * entry, 0] for entry in range(5)]]),
}
frame = np.array(
    [
        [1.0, 1, 2, 8, 9, 9],
        [1.0, 1, 2, 8, 9, 9],
        [0.0, 4, 6, 6, 5, 3],
        [0.0, 4, 6, 6, 5, 3],
    ]
)
video = frame[None, None, None]  # b t c H W

print(frame.astype(int))
print("\npatch pixels            mean difference")
rows = zip(
    patch_pixels(video, config)[0, 0], patch_embed(video, weights, config)[0, 0], strict=True
)
for number, (pixels, (mean, difference)) in enumerate(rows):
    print(f"{number:5} {pixels!s:17} {mean:4.0f} {difference:10.0f}")

print("\nentry of the table", *positions(5, h=2, w=3))
print("tokens with positions")
print(patchify(video, weights, config)[0, 0].astype(int))
