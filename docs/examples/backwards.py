"""What time is for: a film played forwards and backwards, with the time table and without."""

from __future__ import annotations

from itertools import islice

import numpy as np

from timesformer_ref import choose_preprocessing, load_checkpoint
from timesformer_ref.input.video import read_windows
from timesformer_ref.numpy_blocks.layers import softmax
from timesformer_ref.numpy_blocks.model import forward

checkpoint = load_checkpoint("camera-motion")
weights, names = checkpoint.arrays(), checkpoint.labels or ()
timeless = weights | {"time_embed": np.zeros_like(weights["time_embed"])}
windows = read_windows("docs/assets/example.mp4", choose_preprocessing(checkpoint))

print(f"from {'played':8} {'time table':14} no times")
for window in islice(windows, 3, 13, 3):
    video = window.clip.video
    for played, frames in (("forward", video), ("backward", video[:, ::-1])):
        answers = []
        for table in (weights, timeless):
            (chances,) = softmax(forward(frames, table, checkpoint.config).logits)
            answers.append(f"{names[chances.argmax()]} {chances.max():.2f}")
        print(f"{window.start:4.1f} {played:8} {answers[0]:14} {answers[1]}")
