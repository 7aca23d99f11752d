"""Activation checkpointing: less memory in training, for more time."""

from functools import partial

from torch.utils.checkpoint import checkpoint

from timesformer_ref.torch_blocks.model import TimeSformer


def checkpoint_blocks(model: TimeSformer) -> None:
    """Let the backward pass recompute each block's activations, so that they are not kept.

    Changes the model in place: its results, gradients and names of weights stay as they are.
    """
    for block in model.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
