"""What a training step keeps in memory, by exact count: nothing is computed, shapes are enough."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from timesformer_ref import TimeSformerConfig
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.training.checkpointing import checkpoint_blocks


def kept(model: TimeSformer, video: Tensor) -> float:
    """What a forward pass keeps for the backward pass, in GB, each piece of memory counted once."""
    memory = {w.untyped_storage()._cdata: 0 for w in model.parameters()}
    held = []

    def count(tensor: Tensor) -> Tensor:
        held.append(tensor.untyped_storage())
        memory.setdefault(held[-1]._cdata, held[-1].nbytes())
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        model(video)
    return sum(memory.values()) / 1e9


print(f"{'clip':>8} {'numbers':>11} {'tokens':>7} {'kept':>9} {'with --recompute':>17}")
for frames, size in ((8, 224), (16, 448), (96, 224)):
    config = TimeSformerConfig(num_frames=frames, image_size=size)
    with torch.device("meta"):
        model = TimeSformer(config)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu").train()
        video = torch.empty(1, frames, 3, size, size)
        all_kept = kept(model, video)
        checkpoint_blocks(model)
        tokens = 1 + frames * config.grid[1] * config.grid[2]
        print(
            f"{frames:>2} x {size} {video.numel():>11,} {tokens:>7,} {all_kept:>6.2f} GB "
            f"{kept(model, video):>14.2f} GB"
        )
weights = sum(w.nbytes for w in model.parameters()) / 1e9
print(f"weights, gradients and momentum: 3 x {weights:.2f} GB")
