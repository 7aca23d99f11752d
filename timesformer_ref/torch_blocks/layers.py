"""The few layers that every block is made of, as far as PyTorch does not have them."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Let the tokens of each group look at each other (paper, eqs. 2 to 8; original `Attention`).

    dropout, attention_dropout: rates in training, on the result and on the attention weights.
    """

    def __init__(
        self, width: int, heads: int, qkv_bias: bool, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "g s d"], output_attentions: bool = False
    ) -> tuple[Float[Tensor, "g s d"], Float[Tensor, "g a s s"] | None]:
        """The new tokens, and on request the attention weights, which are held only then."""
        q, k, v = rearrange(self.qkv(x), "g s (three a k) -> three g a s k", three=3, a=self.heads)
        attention = None
        rate = self.attention_dropout if self.training else 0.0
        if output_attentions:
            attention = torch.softmax(q @ k.mT * self.scale, dim=-1)
            mixed = F.dropout(attention, rate) @ v
        elif _faster_in_slices(q):
            mixed = attend_in_slices(q, k, v, self.scale)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, scale=self.scale)
        update = self.dropout(self.proj(rearrange(mixed, "g a s k -> g s (a k)")))
        return update, attention if output_attentions else None

    def first_tokens(self, x: Float[Tensor, "g s d"]) -> Float[Tensor, "g 1 d"]:
        """What `forward` makes of the first token of each group, which alone looks at the others.

        The same weights, but no queries and no results of tokens that nobody asks about.
        """
        biases = (None, None) if self.qkv.bias is None else _query_and_rest(self.qkv.bias)
        weights = _query_and_rest(self.qkv.weight)
        first, rest = (
            F.linear(y, *w) for y, *w in zip((x[:, :1], x), weights, biases, strict=True)
        )
        q = rearrange(first, "g 1 (a k) -> g a 1 k", a=self.heads)
        k, v = rearrange(rest, "g s (two a k) -> two g a s k", two=2, a=self.heads)
        rate = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, scale=self.scale)
        return self.dropout(self.proj(rearrange(mixed, "g a 1 k -> g 1 (a k)")))


SLICE = 2**21
"""Attention weights at a time; in bfloat16 they stay in a processor's cache."""


def attend_in_slices(
    q: Float[Tensor, "g a s k"],
    k: Float[Tensor, "g a s k"],
    v: Float[Tensor, "g a s k"],
    scale: float,
) -> Float[Tensor, "g a s k"]:
    """Attention as plain products, of so many groups and queries at a time as a slice holds."""
    heads, members = q.shape[1:3]
    groups = max(1, SLICE // (heads * members**2))
    queries = max(1, SLICE // (groups * heads * members))
    k, v = k.contiguous(), v.contiguous()
    mixed = torch.empty_like(v)
    parts = (torch.split(x, groups) for x in (q, k, v, mixed))
    for asking, keys, values, answers in zip(*parts, strict=True):
        slices = torch.split(asking, queries, dim=2), torch.split(answers, queries, dim=2)
        for some, answer in zip(*slices, strict=True):
            answer.copy_(torch.softmax(some @ keys.mT * scale, dim=-1) @ values)
    return mixed


def _faster_in_slices(q: Float[Tensor, "g a s k"]) -> bool:
    """Whether this beats PyTorch's fused attention: for inference in bfloat16 on a CPU, where it
    took a third to nine tenths of the time.

    Not in an exported program, which may have to take any number of groups.
    """
    slow_kernel = q.device.type == "cpu" and q.dtype == torch.bfloat16
    return slow_kernel and not (torch.is_grad_enabled() or torch.compiler.is_exporting())


def _query_and_rest(qkv: Float[Tensor, "*shape"]) -> tuple[Tensor, Tensor]:
    width = len(qkv) // 3
    return qkv[:width], qkv[width:]


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, for every token on its own (original `Mlp`).

    dropout: its rate in training, after each layer.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The new tokens."""
        return self.dropout(self.fc2(self.dropout(self.act(self.fc1(x)))))


def nearest(size: int, new_size: int, device: torch.device) -> Int[Tensor, " new_size"]:
    """The source index of each place when `size` places are resized to `new_size`, nearest.

    The original runs PyTorch's `interpolate` in float32, and its rounding is part of the model; so
    the index is computed in float32 here, whatever the type of the weights.
    """
    places = torch.arange(new_size, dtype=torch.float32, device=device)
    # Both sizes as tensors: a GPU divides by a plain number inexactly, and copies would stall it.
    ratio = places.new_full((1,), size) / places.new_full((1,), new_size)
    return (places * ratio).floor().long().clamp(max=size - 1)


class StochasticDepth(nn.Module):
    """In training, drop each row's whole update with this probability (original `DropPath`).

    What is kept grows by 1 / (1 - rate), so that the expectation stays.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, update: Float[Tensor, "g s d"]) -> Float[Tensor, "g s d"]:
        """update: what a step or an MLP would add; each of the g rows is kept or dropped."""
        if not self.training or self.rate == 0:
            return update
        kept = torch.rand(len(update), 1, 1, device=update.device) >= self.rate
        return update * kept.to(update.dtype) / (1 - self.rate)
