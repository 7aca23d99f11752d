"""Frames to clips: add each frame's place in time, and join a clip's frames in one sequence."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.torch_blocks.layers import nearest


def time_embedding(
    frames: Float[Tensor, "b t s d"],
    time_embed: Float[Tensor, "1 places d"] | None,
    dropout: nn.Module,
) -> Float[Tensor, "b2 s2 d"]:
    """The tokens that enter block 0 (paper, eq. 1; original `forward_features`).

    Returns b (1 + n t) d, the class token first and time fastest. A table for another number of
    frames is resized, nearest. The class token, the same in every frame, gets no time, and no
    `dropout` either.
    Without a table (no step looks across frames), each frame stays a clip of its own:
    (b t) (1 + n) d.
    """
    if time_embed is None:
        return rearrange(frames, "b t s d -> (b t) s d")
    class_token, patches = frames[:, 0, :1], frames[:, :, 1:]
    t, trained = frames.shape[1], time_embed.shape[1]
    time = time_embed[0, nearest(trained, t, frames.device)]
    patches = dropout(rearrange(patches, "b t n d -> b n t d") + time)
    return torch.cat([class_token, rearrange(patches, "b n t d -> b (n t) d")], dim=1)
