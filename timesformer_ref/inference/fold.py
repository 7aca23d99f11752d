"""A trained model with fewer operations and the same answers, by exact algebra."""

from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Float64
from torch import Tensor, nn

from timesformer_ref.inference.fast import FastAttention, FastTimeSformer, for_inference
from timesformer_ref.schemes import step_prefix
from timesformer_ref.torch_blocks.divided_attention import Block
from timesformer_ref.torch_blocks.model import TimeSformer


@torch.no_grad()
def fold(
    model: TimeSformer, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> FastTimeSformer:
    """A copy of a model for inference, which computes the same with fewer operations.

    The projection of every step but the last and the linear layer after it become one product;
    the scale and shift of a block's LayerNorms and the scale before every softmax move into the
    layers next to them. The weights are computed in float64, on the CPU, and returned in the
    model's type on its device, in new memory, whose alignment can change the last bits.

    mean, std: a number per channel, in parts of 255. With them the normalisation of pixels moves
    into the patch projection too, and the copy takes frames as they are stored: uint8, 0 to 255.

    Raises ValueError for one of the two without the other, or of another number of channels, and
    for a model that is folded or packed already.
    """
    if isinstance(model, FastTimeSformer):
        raise ValueError("the model is a faster copy already: fold the one that it was made of")
    folded = for_inference(model)
    for block in folded.blocks:
        assert isinstance(block, Block)
        for step in block.config.steps[:-1]:
            attention = getattr(block, f"{step}_attn")
            attention.proj = joined(attention.proj, getattr(block, f"{step}_fc"))
            setattr(block, f"{step}_fc", nn.Identity())
        for step in block.config.steps:
            prefix = step_prefix(block.config.attention_type, step)
            norm, attention = (getattr(block, f"{prefix}{name}") for name in ("norm1", "attn"))
            bare, attention.qkv = without_scale_and_shift(norm, attention.qkv)
            setattr(block, f"{prefix}norm1", bare)
            take_scale(attention)
        block.norm2, block.mlp.fc1 = without_scale_and_shift(block.norm2, block.mlp.fc1)
    folded.head = linear(exact(folded.head.weight), exact(folded.head.bias), like=folded.head)
    if mean is not None or std is not None:
        take_pixels(folded, mean or (), std or ())
    return folded


def joined(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """One layer for two, as nothing stands between them: B (A x + a) + b = (B A) x + (B a + b)."""
    a, b = exact(first.weight), exact(second.weight)
    return linear(b @ a, b @ exact(first.bias) + exact(second.bias), like=first)


def without_scale_and_shift(norm: nn.LayerNorm, after: nn.Linear) -> tuple[nn.LayerNorm, nn.Linear]:
    """The bare norm, and the layer that reads it: W (s z + r) + c = (W diag s) z + (W r + c)."""
    weight = exact(after.weight)
    shift = weight @ exact(norm.bias)
    if after.bias is not None:
        shift = shift + exact(after.bias)
    bare = nn.LayerNorm(norm.normalized_shape, norm.eps, elementwise_affine=False)
    return bare, linear(weight * exact(norm.weight), shift, like=after)


def take_scale(attention: FastAttention) -> None:
    """Move the scale of the products of queries and keys into the queries: s (q k) = (s q) k."""
    width = attention.qkv.in_features
    attention.qkv.weight[:width] *= attention.scale
    attention.qkv.bias[:width] *= attention.scale
    attention.scale = 1.0


def take_pixels(model: FastTimeSformer, mean: Sequence[float], std: Sequence[float]) -> None:
    """Move (x / 255 - mean) / std into the patch projection, which has no padding it could miss."""
    channels, proj = model.config.num_channels, model.patch_embed.proj
    if not len(mean) == len(std) == channels or 0 in std:
        raise ValueError(
            f"mean {tuple(mean)} and std {tuple(std)}: give both, {channels} numbers each, "
            f"no deviation of 0"
        )
    weight = exact(proj.weight)
    centre, scale = (rearrange(weight.new_tensor(x), "c -> 1 c 1 1") for x in (mean, std))
    weight = weight / scale
    shift = reduce(weight * centre, "d c p q -> d", "sum")
    assert proj.bias is not None
    bias = exact(proj.bias) - shift
    proj.weight, proj.bias = (
        nn.Parameter(new.to(proj.weight), requires_grad=False) for new in (weight / 255, bias)
    )
    model.takes_pixels = True


def exact(weight: Float[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """A weight in float64, on the CPU: not every device has that type."""
    return weight.cpu().double()


def linear(weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"], like: nn.Linear) -> nn.Linear:
    """A layer of these weights, in the type and on the device of another."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.to(like.weight), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(like.weight), requires_grad=False)
    return layer
