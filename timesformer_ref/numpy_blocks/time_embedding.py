"""Frames to clips: each frame's place in time, and one sequence."""

import numpy as np
from einops import rearrange
from jaxtyping import Float

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import Array, Weights, nearest


def time_embedding(
    frames: Float[Array, "b t s d"],
    weights: Weights,
    config: TimeSformerConfig,
) -> Float[Array, "b2 s2 d"]:
    """The tokens that enter block 0: frames joined, time added.

    (Paper, eq. 1; original `forward_features`.) Returns b (1 + n t) d,
    the class token first and time fastest. A table for another number
    of frames is resized, nearest. The class token, the same in every
    frame, gets no time. Where no step attends across frames, each frame
    stays a clip of its own: (b t) (1 + n) d.
    """
    if config.separate_frames:
        return rearrange(frames, "b t s d -> (b t) s d")
    class_token, patches = frames[:, 0, :1], frames[:, :, 1:]
    t, trained = frames.shape[1], weights["time_embed"].shape[1]
    time = weights["time_embed"][0, nearest(trained, t)]
    patches = rearrange(patches, "b t n d -> b n t d") + time
    patches = rearrange(patches, "b n t d -> b (n t) d")
    return np.concatenate([class_token, patches], axis=1)
