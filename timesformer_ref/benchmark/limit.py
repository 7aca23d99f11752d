"""What no form of a model goes below on a machine: the products that its logits need, alone."""

from collections.abc import Callable
from functools import cache, partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from timesformer_ref.benchmark.cost import group_shape
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.pack import PackedLinear, one_dnn_multiplies
from timesformer_ref.inference.trial import Way, least_seconds

LIMIT = "limit"


class Layer(NamedTuple):
    """A product with weights."""

    rows: int
    inputs: int
    outputs: int


class Attention(NamedTuple):
    """The queries and keys of each head in each group."""

    groups: int
    queries: int
    keys: int


def needed(config: TimeSformerConfig) -> list[Layer | Attention]:
    """The products of one clip's logits: of the folded model, in the last block for a class token.

    There every token still gives a key and a value, but only the class token a query.
    """
    d, hidden, patches = config.hidden_size, config.intermediate_size, prod(config.grid)
    clips = config.grid[0] if config.separate_frames else 1
    found: list[Layer | Attention] = [Layer(patches, config.num_channels * config.patch_size**2, d)]
    for block in range(config.num_hidden_layers):
        answers = block == config.num_hidden_layers - 1
        for step in config.steps:
            last = step == config.steps[-1]
            groups, members = group_shape(step, config.grid)
            tokens = members + last
            queries = 1 if answers and last else tokens
            qkv = [Layer(groups * queries, d, d), Layer(groups * tokens, d, 2 * d)]
            found += qkv if queries < tokens else [Layer(groups * tokens, d, 3 * d)]
            found += [Attention(groups, queries, tokens), Layer(groups * queries, d, d)]
        rows = clips if answers else patches + clips
        found += [Layer(rows, d, hidden), Layer(rows, hidden, d)]
    return [*found, Layer(1, d, config.num_labels)]


def limit(
    config: TimeSformerConfig, dtype: torch.dtype, device: str = "cpu", batch: int = 1
) -> Callable[[], None]:
    """A runner of `needed` with nothing in between, each kind of product in its fastest way here.

    Linear layers by PyTorch's library or oneDNN's, attention by the fused kernel or two products.
    """
    heads, width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    packs = device == "cpu" and one_dnn_multiplies(dtype)

    @cache
    def given(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, dtype=dtype)

    def ways(task: Layer | Attention) -> list[Way]:
        if isinstance(task, Attention):
            q = given(batch * task.groups, heads, task.queries, width)
            k = v = given(batch * task.groups, heads, task.keys, width)
            return [partial(F.scaled_dot_product_attention, q, k, v), lambda: q @ k.mT @ v]
        x = given(batch * task.rows, task.inputs)
        layer = nn.Linear(task.inputs, task.outputs, device=device, dtype=dtype)
        return [partial(layer, x), *([partial(PackedLinear(layer), x)] if packs else [])]

    @cache
    def fastest(task: Layer | Attention) -> int:
        least = least_seconds(ways(task), device)
        return least.index(min(least))

    runs = [ways(task)[fastest(task)] for task in needed(config)]

    @torch.inference_mode()
    def run() -> None:
        for product in runs:
            product()

    return run
