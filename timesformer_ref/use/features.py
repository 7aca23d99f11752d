"""Features of a video: the class token, and the patch tokens by frame and place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from safetensors.numpy import save_file

from timesformer_ref.atomic import whole_file
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.numpy_blocks.classifier import final_norm
from timesformer_ref.numpy_blocks.model import forward

HiddenStates = Callable[[Float[np.ndarray, "t c H W"]], Sequence[np.ndarray]]
"""One implementation, ready to turn a view into the tokens before and after every block."""


class Features(NamedTuple):
    """What a block knows of a clip's views.

    class_token: of the clip; where each frame is a clip of its own, the mean over frames.
    patches: by view, frame, row and column.
    class_feature: the class token after the last LayerNorm, which the classifier sees; of the last
        block only.
    """

    class_token: Float[np.ndarray, "v d"]
    patches: Float[np.ndarray, "v t h w d"]
    class_feature: Float[np.ndarray, "v d"] | None = None


def extract_features(
    checkpoint: Checkpoint,
    views: Float[np.ndarray, "v t c H W"],
    block: int,
    hidden_states: HiddenStates,
) -> Features:
    """The features of views after a block, in float32; block 0 is what enters the first one.

    hidden_states: one implementation, `torch_hidden_states` or `numpy_hidden_states`.
    Raises ValueError for a block that the model does not have.
    """
    config = checkpoint.config
    depth = config.num_hidden_layers
    if not 0 <= block <= depth:
        raise ValueError(f"block {block} does not exist: use 0 (the embeddings) to {depth}")
    tokens = np.concatenate([hidden_states(view)[block] for view in views])
    frames, h, w = config.clip_grid(views.shape)
    if config.separate_frames:
        class_token = reduce(tokens[:, 0], "(v t) d -> v d", "mean", t=frames)
        patches = rearrange(tokens[:, 1:], "(v t) (h w) d -> v t h w d", t=frames, h=h)
    else:
        class_token = tokens[:, 0]
        patches = rearrange(tokens[:, 1:], "v (h w t) d -> v t h w d", h=h, w=w)
    if block < depth:
        return Features(class_token, patches)
    norm = {n: w for n, w in checkpoint.weights.items() if n.startswith("norm.")}
    normed = final_norm(tokens, replace(checkpoint, weights=norm).arrays(), config, frames)
    return Features(class_token, patches, normed[:, 0])


def torch_hidden_states(checkpoint: Checkpoint, device: str) -> HiddenStates:
    """The PyTorch implementation on a checkpoint's weights."""
    model = TimeSformer.from_checkpoint(checkpoint, device=device)

    def run(view: Float[np.ndarray, "t c H W"]) -> list[np.ndarray]:
        with torch.inference_mode():
            output = model(torch.from_numpy(view[None]).to(device), output_hidden_states=True)
        return [state.cpu().numpy() for state in output.hidden_states]

    return run


def numpy_hidden_states(checkpoint: Checkpoint) -> HiddenStates:
    """The NumPy implementation on a checkpoint's weights."""
    weights, config = checkpoint.arrays(), checkpoint.config
    return lambda view: list(
        forward(view[None], weights, config, output_hidden_states=True).hidden_states or ()
    )


def check_target(target: Path) -> None:
    """Raises ValueError for a name under which features cannot be written."""
    if target.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"{target}: features are written as .npz or .safetensors")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder, expected the name of a file")


def save_features(features: Features, frames: list[list[int]], target: Path) -> None:
    """Write features and the frame numbers of each clip as `.npz` or `.safetensors`.

    Raises ValueError for another ending, and for a folder.
    """
    check_target(target)
    arrays = {name: array for name, array in features._asdict().items() if array is not None}
    arrays["frames"] = np.array(frames)
    with whole_file(target) as unfinished:
        if target.suffix == ".npz":
            np.savez(unfinished, **arrays)
        else:
            save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, unfinished)
