"""The memory that a step of training takes, counted from shapes."""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.training.checkpointing import checkpoint_blocks
from timesformer_ref.training.loop import make_optimizer
from timesformer_ref.training.recipe import Recipe


def step_memory(
    config: TimeSformerConfig, recipe: Recipe, clips: int, half: bool, recompute: bool
) -> dict[str, int]:
    """Bytes by what they hold: weights, their gradients, the optimizer's state, activations.

    clips: computed at once on one device, of the config's size. half: mixed precision. recompute:
        see `checkpoint_blocks`; the activations of the block that is computed again count too.
    What lives within one operation, or in a library, is left out. Raises ImportError or
    AttributeError where a later PyTorch lacks what is private to it.
    """
    from torch._subclasses import FakeTensorMode

    with torch.device("meta"):
        model = TimeSformer(config)
    make_optimizer(recipe, model)  # which decides what learns
    learning = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
    side = config.image_size
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu").train()
        video = torch.empty(clips, config.num_frames, config.num_channels, side, side)
        activations = _kept(model, video, half)
        if recompute:
            block = activations // (recipe.last_blocks or config.num_hidden_layers)
            checkpoint_blocks(model)
            activations = block + _kept(model, video, half)
    states = 2 if recipe.optimizer == "adamw" else int(recipe.momentum > 0)
    return {
        "weights": sum(weight.nbytes for weight in model.parameters()),
        "gradients": learning,
        "optimizer": states * learning,
        "activations": activations,
    }


def _kept(model: TimeSformer, video: Tensor, half: bool) -> int:
    """Bytes that a forward pass keeps for the backward pass, each piece of memory counted once."""
    memory = {weight.untyped_storage()._cdata: 0 for weight in model.parameters()}
    held = []  # what has gone would leave its place to another

    def count(tensor: Tensor) -> Tensor:
        held.append(tensor.untyped_storage())
        memory.setdefault(held[-1]._cdata, held[-1].nbytes())
        return tensor

    precision = torch.autocast("cpu", torch.bfloat16) if half else nullcontext()
    with saved_tensors_hooks(count, lambda tensor: tensor), precision:
        model(video)
    return sum(memory.values())
