"""Features of a video: the class token, and the patch tokens by frame and place."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from einops import rearrange, reduce
from jaxtyping import Float
from safetensors.numpy import save_file

from timesformer_ref.atomic import check_target, whole_file
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.endings import FEATURES
from timesformer_ref.numpy_blocks.classifier import final_norm
from timesformer_ref.use.implementations import Implementation


class Features(NamedTuple):
    """The tokens of a clip's views after one block.

    class_token: of the clip; where each frame is a clip of its own, the mean over frames.
    patches: by view, frame, row and column.
    class_feature: the class token after the last LayerNorm, which the classifier takes; of the
        last block only.
    """

    class_token: Float[np.ndarray, "v d"]
    patches: Float[np.ndarray, "v t h w d"]
    class_feature: Float[np.ndarray, "v d"] | None = None


def extract_features(
    checkpoint: Checkpoint, views: Float[np.ndarray, "v t c H W"], block: int, run: Implementation
) -> Features:
    """The features of views after a block, in float32; block 0 is what enters the first one.

    run: one implementation (see `implementations`), with `output_hidden_states`.
    Raises ValueError for a block that the model does not have.
    """
    config = checkpoint.config
    depth = config.num_hidden_layers
    if not 0 <= block <= depth:
        raise ValueError(f"block {block} does not exist: use 0 (the embeddings) to {depth}")
    tokens = np.concatenate([(run(view).hidden_states or ())[block] for view in views])
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


def save_features(features: Features, frames: list[list[int]], target: Path) -> None:
    """Write features and the frame numbers of each clip as `.npz` or `.safetensors`.

    Raises ValueError for another ending, and for a folder.
    """
    check_target(target, FEATURES)
    arrays = {name: array for name, array in features._asdict().items() if array is not None}
    arrays["frames"] = np.array(frames)
    with whole_file(target) as unfinished:
        if target.suffix == ".npz":
            np.savez(unfinished, **arrays)
        else:
            save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, unfinished)
