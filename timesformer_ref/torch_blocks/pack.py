"""A model's linear layers by oneDNN, on weights laid out once for this machine's CPU.

PyTorch gives a float32 product on a CPU to MKL, which took a quarter longer than oneDNN on the AMD
processor of the performance page. oneDNN also applies the GELU as results leave the registers.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.torch_blocks.fold import fold, for_inference
from timesformer_ref.torch_blocks.model import TimeSformer

Model = TypeVar("Model", bound=TimeSformer)


class PackedLinear(nn.Module):
    """A linear layer for inference, its weight in oneDNN's own layout.

    activation: what follows at once, `none` or `gelu` (the exact one).
    """

    def __init__(self, layer: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.activation = activation

    def forward(self, x: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        """The layer's result, with the activation."""
        return torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], "none"
        )


def can_pack(model: TimeSformer) -> bool:
    """Whether oneDNN multiplies in this model's type, on the device where it lies."""
    weight = model.cls_token
    one_dnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if weight.device.type != "cpu" or not one_dnn:
        return False
    return weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def pack(model: Model) -> Model:
    """A copy of a model for inference on this CPU, the linear layers of its blocks packed.

    It computes the same, but for the order of sums. Raises ValueError where oneDNN cannot do so
    (see `can_pack`).
    """
    if not can_pack(model):
        weight = model.cls_token
        raise ValueError(f"oneDNN does not multiply {weight.dtype} on {weight.device} here")
    packed = for_inference(model)
    # The last block's class token asks for its queries apart from all keys and values.
    apart = f"{len(packed.blocks) - 1}.attn.qkv"
    for name, layer in list(packed.blocks.named_modules()):
        if isinstance(layer, nn.Linear) and name != apart:
            activation = "gelu" if name.endswith("mlp.fc1") else "none"
            packed.blocks.set_submodule(name, PackedLinear(layer, activation))
            if activation == "gelu":
                packed.blocks.set_submodule(name.replace("fc1", "act"), nn.Identity())
    return packed


def fastest(model: Model) -> Model:
    """The form of a model that classifies fastest where it lies: folded, and packed on a CPU."""
    folded = fold(model)
    return pack(folded) if can_pack(folded) else folded
