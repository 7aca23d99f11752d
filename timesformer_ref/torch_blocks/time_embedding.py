"""Frames to clips: each frame's place in time, and one sequence."""

from typing import TYPE_CHECKING

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from timesformer_ref.torch_blocks.layers import nearest

if TYPE_CHECKING:
    from timesformer_ref.torch_blocks.model import TimeSformer


def time_embedding(
    frames: Float[Tensor, "b t s d"], model: "TimeSformer"
) -> Float[Tensor, "b2 s2 d"]:
    """The tokens that enter block 0: frames joined, time added.

    (Paper, eq. 1; original `forward_features`.) Returns b (1 + n t) d,
    the class token first and time fastest. A table for another number
    of frames is resized, nearest. The class token, the same in every
    frame, gets no time, and no second dropout either. Where no step
    attends across frames, each frame stays a clip of its own:
    (b t) (1 + n) d.
    """
    if model.config.separate_frames:
        return rearrange(frames, "b t s d -> (b t) s d")
    class_token, patches = frames[:, 0, :1], frames[:, :, 1:]
    t, trained = frames.shape[1], model.time_embed.shape[1]
    time = model.time_embed[0, nearest(trained, t)]
    patches = rearrange(patches, "b t n d -> b n t d") + time
    patches = rearrange(
        model.time_drop(patches), "b n t d -> b (n t) d"
    )
    return torch.cat([class_token, patches], dim=1)
