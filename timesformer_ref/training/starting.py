"""The model to fine-tune: a TimeSformer's or an image ViT's weights, with other classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from timesformer_ref.checkpoints import Checkpoint, CheckpointError
from timesformer_ref.checkpoints.geometry import infer_config
from timesformer_ref.checkpoints.initialise import initial_weights, weights_from_image_vit
from timesformer_ref.checkpoints.tensors import read_tensors


def with_classes(checkpoint: Checkpoint, classes: Sequence[str], seed: int) -> Checkpoint:
    """The checkpoint with a new classifier for these classes, unless they are already its own."""
    if checkpoint.labels == tuple(classes):
        return checkpoint
    config = replace(checkpoint.config, num_labels=len(classes))
    fresh = initial_weights(replace(config, num_hidden_layers=1), seed)
    head = {name: torch.from_numpy(w) for name, w in fresh.items() if name.startswith("head.")}
    return replace(
        checkpoint, config=config, weights={**checkpoint.weights, **head}, labels=tuple(classes)
    )


def from_image_vit(
    path: Path,
    classes: Sequence[str],
    seed: int,
    *,
    attention_type: str,
    num_frames: int,
    image_size: int | None = None,
    num_attention_heads: int | None = None,
) -> Checkpoint:
    """A video model that starts as an image ViT (see `weights_from_image_vit`).

    path: a state dict with the names of the ViT in timm, from which the original started too.
    image_size: pixels, by default the ViT's own.
    Raises CheckpointError for another file, and ValueError for an impossible model.
    """
    vit, _ = read_tensors(path)
    head = {"head.weight": torch.empty(1, 1)}  # which those for features alone lack
    stated = {} if num_attention_heads is None else {"num_attention_heads": num_attention_heads}
    image = infer_config(path, head | vit, stated)
    config = replace(
        image,
        attention_type=attention_type,
        num_frames=num_frames,
        image_size=image_size or image.image_size,
        num_labels=len(classes),
    )
    arrays = {name: weight.float().numpy() for name, weight in vit.items()}
    try:
        start = weights_from_image_vit(arrays, config, seed)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    weights = {name: torch.from_numpy(weight) for name, weight in start.items()}
    return Checkpoint(config, weights, tuple(classes))
