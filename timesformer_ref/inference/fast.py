"""A copy of a model that computes no more than its logits need."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Integer, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from timesformer_ref.inference.trial import loses
from timesformer_ref.schemes import STEPS, Grid
from timesformer_ref.torch_blocks.classifier import classifier
from timesformer_ref.torch_blocks.divided_attention import Block
from timesformer_ref.torch_blocks.layers import SelfAttention
from timesformer_ref.torch_blocks.model import Output, TimeSformer
from timesformer_ref.torch_blocks.patchify import patchify
from timesformer_ref.torch_blocks.time_embedding import time_embedding


class FastTimeSformer(TimeSformer):
    """A model for inference, as `for_inference`, `fold` and `pack` make it.

    takes_pixels: whether the normalisation of pixels is part of the weights (see `fold`).
    packed: whether the weights of its blocks are laid out for this CPU (see `pack`).
    """

    takes_pixels = False
    packed = False

    def forward(
        self,
        video: Float[Tensor, "b t c H W"] | UInt8[Tensor, "b t c H W"],
        labels: Integer[Tensor, " b"] | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Output:
        """See `TimeSformer.forward`; where only logits are asked for, it computes no more.

        Raises ValueError also for a video that is not uint8 where the model takes pixels.
        """
        if self.takes_pixels:
            if video.dtype != torch.uint8:
                raise ValueError(
                    f"the video holds {video.dtype}, expected pixels as uint8: "
                    "this model normalises them itself"
                )
            video = video.to(self.cls_token.dtype)
        more = dict(output_hidden_states=output_hidden_states, output_attentions=output_attentions)
        if labels is not None or any(more.values()) or not video.is_floating_point():
            return super().forward(video, labels, **more)
        grid = self.config.clip_grid(video.shape)
        tokens = time_embedding(patchify(video, self), self)
        for block in self.blocks[:-1]:
            tokens, _ = block(tokens, grid)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        return Output(classifier(class_token_after(last, tokens, grid), self, grid[0]))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FastTimeSformer":
        """What `.to`, `.double` and the like call. Raises ValueError for a packed model."""
        old = self.cls_token.detach()
        new = fn(old) if self.packed else old
        if (new.dtype, new.device) != (old.dtype, old.device):
            raise ValueError(
                f"a packed model stays {old.dtype} on {old.device}: convert the model before `pack`"
            )
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


class FastAttention(SelfAttention):
    """Attention by the fastest kernel there is.

    scale: of the products of queries and keys; 1 where `fold` has moved it into the queries.
    """

    scale: float

    def forward(
        self, x: Float[Tensor, "g s d"], output_attentions: bool = False
    ) -> tuple[Float[Tensor, "g s d"], Float[Tensor, "g a s s"] | None]:
        """See `SelfAttention.forward`."""
        q, k, v = rearrange(self.qkv(x), "g s (three a k) -> three g a s k", three=3, a=self.heads)
        rate = self.attention_dropout if self.training else 0.0
        attention = None
        if output_attentions:
            attention = torch.softmax(q @ k.mT * self.scale, dim=-1)
            mixed = F.dropout(attention, rate) @ v
        elif rate == 0 and faster_in_slices(q):
            mixed = attend_in_slices(q, k, v, self.scale)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, scale=self.scale)
        return self.dropout(self.proj(rearrange(mixed, "g a s k -> g s (a k)"))), attention

    def first_tokens(self, x: Float[Tensor, "g s d"]) -> Float[Tensor, "g 1 d"]:
        """The first token of each group after `forward`, without the queries of the others."""
        width, weight, bias = self.qkv.in_features, self.qkv.weight, self.qkv.bias
        first = F.linear(x[:, :1], weight[:width], None if bias is None else bias[:width])
        rest = F.linear(x, weight[width:], None if bias is None else bias[width:])
        q = rearrange(first, "g 1 (a k) -> g a 1 k", a=self.heads)
        k, v = rearrange(rest, "g s (two a k) -> two g a s k", two=2, a=self.heads)
        rate = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, scale=self.scale)
        return self.dropout(self.proj(rearrange(mixed, "g a 1 k -> g 1 (a k)")))


def for_inference(model: TimeSformer) -> FastTimeSformer:
    """A copy that shares the model's weights, none of which gets a gradient.

    Raises ValueError for a packed model, which cannot be copied.
    """
    if isinstance(model, FastTimeSformer) and model.packed:
        raise ValueError("the model is packed already: use the one that it was made of")
    frozen = {id(w): nn.Parameter(w.detach(), requires_grad=False) for w in model.parameters()}
    copy = deepcopy(model, frozen).eval()
    copy.__class__ = FastTimeSformer
    assert isinstance(copy, FastTimeSformer)
    for attention in copy.modules():
        if type(attention) is SelfAttention:
            attention.__class__ = FastAttention
            attention.scale = (attention.proj.in_features // attention.heads) ** -0.5
    return copy


def class_token_after(
    block: Block, tokens: Float[Tensor, "b s d"], grid: Grid
) -> Float[Tensor, "b 1 d"]:
    """The class token after a block: the last block's patches are not needed for logits."""
    *earlier, last = block.config.steps
    for step in earlier:
        tokens, _ = block.attention_step(tokens, grid, step)
    b, rule = tokens.shape[0], STEPS[last]
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **rule.lengths(b, grid))
    copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=groups.shape[0] // b)
    normed = block.norm1(torch.cat([copies, groups], dim=1))
    assert isinstance(block.attn, FastAttention)
    update = block.drop_path(block.attn.first_tokens(normed))
    return block.feed_forward(class_token + reduce(update, "(b g) 1 d -> b 1 d", "mean", b=b))


Heads = Float[Tensor, "g a s k"]

SLICE = 2**21
"""Attention weights at a time; in bfloat16 they stay in a processor's cache."""


def attend_in_slices(q: Heads, k: Heads, v: Heads, scale: float) -> Heads:
    """Attention as plain products, of so many groups and queries at a time as a slice holds."""
    heads, members = q.shape[1:3]
    groups = max(1, SLICE // (heads * members**2))
    queries = max(1, SLICE // (groups * heads * members))
    k, v = k.contiguous(), v.contiguous()
    mixed = torch.empty_like(v)
    parts = (torch.split(x, groups) for x in (q, k, v, mixed))
    for some_q, some_k, some_v, some_mixed in zip(*parts, strict=True):
        slices = torch.split(some_q, queries, dim=2), torch.split(some_mixed, queries, dim=2)
        for query, result in zip(*slices, strict=True):
            result.copy_(torch.softmax(query @ some_k.mT * scale, dim=-1) @ some_v)
    return mixed


def faster_in_slices(q: Heads) -> bool:
    """Whether slices take the place of PyTorch's fused attention: it is slow in bfloat16 on a CPU.

    Not with gradients, nor in an exported program, which may have to take any number of groups. A
    compiled one, which makes no trial, takes slices.
    """
    slow = q.device.type == "cpu" and q.dtype == torch.bfloat16 and not torch.is_grad_enabled()
    if not slow or torch.compiler.is_compiling():
        return slow and not torch.compiler.is_exporting()
    return slices_keep_up(*q.shape[1:])


@cache
def slices_keep_up(heads: int, members: int, width: int) -> bool:
    """Whether slices do not lose to the fused kernel here, tried once on a part of such groups."""
    members = min(members, 2048)
    heads = min(heads, max(1, SLICE // members**2))
    groups = max(1, min(128, SLICE // 8 // (heads * members**2)))
    x = torch.ones(groups, heads, members, width, dtype=torch.bfloat16)
    slices = partial(attend_in_slices, x, x, x, 1.0)
    return not loses(slices, partial(F.scaled_dot_product_attention, x, x, x))
