"""A trained model with fewer operations and the same answers, by exact algebra.

Without a NumPy twin: what is folded is no part of the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.schemes import step_prefix
from timesformer_ref.torch_blocks.divided_attention import Block
from timesformer_ref.torch_blocks.layers import SelfAttention
from timesformer_ref.torch_blocks.model import TimeSformer

Model = TypeVar("Model", bound=TimeSformer)


@torch.no_grad()
def fold(
    model: Model, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Model:
    """A copy of a model for inference, which computes the same with fewer operations.

    The projection of every step but the last and the linear layer after it become one product;
    the scale and shift of every LayerNorm and the scale before every softmax move into the layers
    next to them. The weights are computed in float64 and returned in the model's type.

    mean, std: a number a channel, in parts of 255. With them the normalisation of pixels moves into
    the patch projection too, and the copy takes frames as they are stored, uint8 from 0 to 255.

    Raises ValueError for one of the two without the other, or of another number of channels.
    """
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
    folded.norm, folded.head = without_scale_and_shift(folded.norm, folded.head)
    if mean is not None or std is not None:
        take_pixels(folded, mean or (), std or ())
    return folded


def joined(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """One layer for two, as nothing stands between them: B (A x + a) + b = (B A) x + (B a + b)."""
    a, b = first.weight.double(), second.weight.double()
    return linear(b @ a, b @ first.bias.double() + second.bias.double(), like=first)


def without_scale_and_shift(norm: nn.LayerNorm, after: nn.Linear) -> tuple[nn.LayerNorm, nn.Linear]:
    """The bare norm, and the layer that reads it: W (s z + r) + c = (W diag s) z + (W r + c)."""
    weight = after.weight.double()
    shift = weight @ norm.bias.double()
    if after.bias is not None:
        shift = shift + after.bias.double()
    bare = nn.LayerNorm(norm.normalized_shape, norm.eps, elementwise_affine=False)
    return bare, linear(weight * norm.weight.double(), shift, like=after)


def take_scale(attention: SelfAttention) -> None:
    """Move the scale of the products of queries and keys into the queries: s (q k) = (s q) k."""
    width = attention.qkv.in_features
    attention.qkv.weight[:width] *= attention.scale
    attention.qkv.bias[:width] *= attention.scale
    attention.scale = 1.0


def take_pixels(model: TimeSformer, mean: Sequence[float], std: Sequence[float]) -> None:
    """Move (x / 255 - mean) / std into the patch projection, which has no padding it could miss."""
    channels, proj = model.config.num_channels, model.patch_embed.proj
    if not len(mean) == len(std) == channels or 0 in std:
        raise ValueError(
            f"mean {tuple(mean)} and std {tuple(std)}: give both, {channels} numbers each, "
            f"no deviation of 0"
        )
    weight = proj.weight.double()
    centre, scale = (rearrange(weight.new_tensor(x), "c -> 1 c 1 1") for x in (mean, std))
    weight = weight / scale
    shift = reduce(weight * centre, "d c p q -> d", "sum")
    assert proj.bias is not None
    bias = proj.bias.double() - shift
    proj.weight, proj.bias = (
        nn.Parameter(new.to(proj.weight.dtype), requires_grad=False) for new in (weight / 255, bias)
    )
    model.takes_pixels = True


def for_inference(model: Model) -> Model:
    """A copy that shares the model's weights, of which none asks for a gradient."""
    frozen = {id(w): nn.Parameter(w.detach(), requires_grad=False) for w in model.parameters()}
    return deepcopy(model, frozen).eval()


def linear(weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"], like: nn.Linear) -> nn.Linear:
    """A layer of these weights, in the type of another."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.to(like.weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(like.weight.dtype), requires_grad=False)
    return layer
