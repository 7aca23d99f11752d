"""At its start a divided model sees a still clip as an image model sees the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from einops import repeat

from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.weights import weight_table

video_model = TimeSformerConfig(
    image_size=32, hidden_size=64, num_attention_heads=4, num_hidden_layers=3, num_labels=4
)
image_model = replace(video_model, attention_type="joint_space_time", num_frames=1)
weights = initial_weights(video_model, seed=0)
image_weights = {name: weights[name] for name in weight_table(image_model)}
image_weights["time_embed"] = weights["time_embed"][:, :1]

rng = np.random.default_rng(0)
picture = rng.standard_normal((1, 1, 3, 32, 32), np.float32)
still = repeat(picture, "b 1 c h w -> b t c h w", t=8)
moving = rng.standard_normal((1, 8, 3, 32, 32), np.float32)

for name, video, w, config in (
    ("image model, picture", picture, image_weights, image_model),
    ("video model, still", still, weights, video_model),
    ("video model, moving", moving, weights, video_model),
    ("  its frames reversed", moving[:, ::-1], weights, video_model),
):
    logits = forward(video, w, config).logits[0]
    print(f"{name:21}", *(f"{logit:7.4f}" for logit in logits))
