"""The two implementations on a checkpoint's weights, ready to compute views."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.inference.pack import fastest
from timesformer_ref.numpy_blocks.model import Output, forward

Implementation = Callable[[Float[np.ndarray, "t c H W"]], Output]
"""Returns a model's output for one view: a batch of one."""

Name = Literal["torch", "numpy"]


def implementation(
    name: Name,
    checkpoint: Checkpoint,
    device: str,
    dtype: torch.dtype = torch.float32,
    **outputs: bool,
) -> Implementation:
    """One of the two. NumPy computes in float64 if that is the dtype, else in float32."""
    if name == "torch":
        return torch_implementation(checkpoint, device, dtype, **outputs)
    array_type = np.float64 if dtype == torch.float64 else np.float32
    return numpy_implementation(checkpoint, array_type, **outputs)


def torch_implementation(
    checkpoint: Checkpoint, device: str, dtype: torch.dtype = torch.float32, **outputs: bool
) -> Implementation:
    """The PyTorch implementation; in its fastest form where no `outputs` beside logits are wanted.

    outputs: `output_hidden_states` and `output_attentions`, as the model takes them.
    """
    whole = TimeSformer.from_checkpoint(checkpoint, device=device, dtype=dtype)
    model = whole if any(outputs.values()) else fastest(whole)

    def run(view: Float[np.ndarray, "t c H W"]) -> Output:
        with torch.inference_mode():
            found = model(torch.from_numpy(view[None]).to(device, dtype), **outputs)
        return Output(
            found.logits.to("cpu", torch.float64).numpy(),
            hidden_states=tuple(tokens.cpu().numpy() for tokens in found.hidden_states or ()),
            attentions=tuple(
                {step: weights.cpu().numpy() for step, weights in block.items()}
                for block in found.attentions or ()
            ),
        )

    return run


def numpy_implementation(
    checkpoint: Checkpoint, dtype: type[np.floating[Any]] = np.float32, **outputs: bool
) -> Implementation:
    """The NumPy implementation. outputs: as for `torch_implementation`."""
    weights, config = checkpoint.arrays(dtype), checkpoint.config
    return lambda view: forward(view[None].astype(dtype), weights, config, None, **outputs)
