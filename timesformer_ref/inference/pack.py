"""A model's linear layers by oneDNN, on weights laid out once for this machine's CPU.

PyTorch gives a float32 product on a CPU to MKL, which took a quarter longer than oneDNN on the AMD
processor of the performance page. oneDNN also applies the GELU as results leave the registers.
"""

from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.inference.fast import FastTimeSformer, for_inference
from timesformer_ref.inference.fold import fold, linear
from timesformer_ref.inference.trial import loses
from timesformer_ref.torch_blocks.model import TimeSformer


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
        """The layer's result, with the activation.

        Raises RuntimeError where a gradient of x is asked for, which oneDNN would leave at zero.
        """
        if torch.is_grad_enabled() and x.requires_grad:
            raise RuntimeError(
                "a packed model has no gradient of its input: use the model that it was made of"
            )
        return torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], "none"
        )


def can_pack(model: TimeSformer) -> bool:
    """Whether oneDNN multiplies in this model's type, on the model's device."""
    return model.cls_token.device.type == "cpu" and one_dnn_multiplies(model.cls_token.dtype)


@cache
def one_dnn_multiplies(dtype: torch.dtype) -> bool:
    """Whether PyTorch's private operators for oneDNN are there, and right: they may change."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if dtype not in (torch.float32, torch.bfloat16) or not available:
        return False
    layer = linear(torch.ones(2, 3), torch.tensor([-1.0, 1.0]), like=nn.Linear(1, 1, dtype=dtype))
    x = torch.eye(3, dtype=dtype)
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        with torch.no_grad():
            found = PackedLinear(layer, "gelu")(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(found, nn.functional.gelu(layer(x)), rtol=0, atol=0.02)


def pack(model: TimeSformer) -> FastTimeSformer:
    """A copy of a model for inference on this CPU, the linear layers of its blocks packed.

    It computes the same, but for the order of sums; it has no gradients, and stays in its type on
    this CPU. Raises ValueError where oneDNN cannot do so (see `can_pack`), and for a model that is
    packed already.
    """
    if not can_pack(model):
        weight = model.cls_token
        raise ValueError(f"oneDNN does not multiply {weight.dtype} on {weight.device} here")
    packed = for_inference(model)
    # The last block computes queries of the class token alone, apart from all keys and values.
    apart = f"{len(packed.blocks) - 1}.attn.qkv"
    for name, layer in list(packed.blocks.named_modules()):
        if isinstance(layer, nn.Linear) and name != apart:
            activation = "gelu" if name.endswith("mlp.fc1") else "none"
            packed.blocks.set_submodule(name, PackedLinear(layer, activation))
            if activation == "gelu":
                packed.blocks.set_submodule(name.replace("fc1", "act"), nn.Identity())
    packed.packed = True
    return packed


def fastest(model: TimeSformer) -> FastTimeSformer:
    """The copy of a model that is fastest on its device: folded, and packed where that pays.

    Raises ValueError for a model that is a faster copy already.
    """
    folded, weight = fold(model), model.cls_token
    return pack(folded) if packing_pays(weight.device.type, weight.dtype) else folded


@cache
def packing_pays(device: str, dtype: torch.dtype) -> bool:
    """Whether a packed layer and its GELU are there and do not lose to PyTorch's, tried once."""
    if device != "cpu" or not one_dnn_multiplies(dtype):
        return False
    layer = linear(torch.ones(1024, 256), torch.ones(1024), like=nn.Linear(1, 1, dtype=dtype))
    x, packed = torch.ones(256, 256, dtype=dtype), PackedLinear(layer, "gelu")
    return not loses(partial(packed, x), lambda: nn.functional.gelu(layer(x)))
