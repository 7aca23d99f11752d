"""The few layers that every block is made of.

PyTorch itself has `linear`, `layer_norm`, `gelu` and `softmax`.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Let the tokens of each group attend to each other.

    (Paper, eqs. 2 to 8; original `Attention`.)
    dropout, attention_dropout: rates in training, on the result and on
        the attention weights.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        qkv_bias: bool,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "g s d"], output_attentions: bool = False
    ) -> tuple[Float[Tensor, "g s d"], Float[Tensor, "g a s s"] | None]:
        """The new tokens, and on request the attention weights.

        x: g groups of s tokens of width d.
        """
        qkv = self.qkv(x)
        pattern = "g s (three a k) -> three g a s k"
        q, k, v = rearrange(qkv, pattern, three=3, a=self.heads)
        rate = self.attention_dropout if self.training else 0.0
        attention = None
        if output_attentions:
            attention = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)
            mixed = F.dropout(attention, rate) @ v
        else:  # the same, but the weights are never held as a whole
            mixed = F.scaled_dot_product_attention(q, k, v, None, rate)
        mixed = rearrange(mixed, "g a s k -> g s (a k)")
        return self.dropout(self.proj(mixed)), attention


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, token by token.

    (Original `Mlp`.)
    dropout: its rate in training, after each layer.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch d"]:
        """The new tokens."""
        hidden = self.dropout(self.act(self.fc1(x)))
        return self.dropout(self.fc2(hidden))


def nearest(size: int, new_size: int) -> Int[Tensor, " new_size"]:
    """The source index of each place when `size` places are resized.

    There are `new_size` places then; each takes its nearest source. The
    original runs PyTorch's `interpolate` in float32, and its rounding
    is part of the model; so the index is computed in float32 here,
    whatever the type of the weights.
    """
    places = torch.arange(new_size, dtype=torch.float32)
    # Both as tensors: compiled, a GPU divides by a number inexactly.
    ratio = places.new_full((1,), size) / places.new_full(
        (1,), new_size
    )
    source = (places * ratio).floor().long()
    return source.clamp(max=size - 1)


class StochasticDepth(nn.Module):
    """In training, drop each row's whole update with this probability.

    (Original `DropPath`.) What is kept grows by 1 / (1 - rate), so that
    the expectation stays.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(
        self, update: Float[Tensor, "g s d"]
    ) -> Float[Tensor, "g s d"]:
        """update: of a step or an MLP; each row is kept or dropped."""
        if not self.training or self.rate == 0:
            return update
        chance = torch.rand(len(update), 1, 1, device=update.device)
        kept = (chance >= self.rate).to(update.dtype)
        return update * kept / (1 - self.rate)
