"""Every weight of a TimeSformer in one table: its name, shape, start value and meaning."""

from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import step_prefix

Start = Literal["zeros", "ones", "normal", "fan_in"]
"""How a weight starts: `normal` has standard deviation 0.02, cut at 2 on either side; `fan_in` is
uniform within 1 / sqrt(inputs of one output) (PyTorch's default for convolutions)."""

T = TypeVar("T")


class Row(NamedTuple):
    """A line of the table. `{i}` stands for a block, `{step}` for a step's prefix.

    `hugging_face` is the name in `transformers`' TimesformerForVideoClassification. `shape` names
    axes: d width, c channels, p patch size, n patches of a frame, t frames, m MLP width, l labels.
    """

    name: str
    hugging_face: str
    shape: str
    start: Start
    meaning: str


EMBEDDINGS = (
    Row("cls_token", "timesformer.embeddings.cls_token", "1 1 d", "normal", "class token"),
    Row("pos_embed", "timesformer.embeddings.position_embeddings", "1 1+n d", "normal",
        "position of the class token, then of each patch in its frame, row by row"),
    Row("patch_embed.proj.weight", "timesformer.embeddings.patch_embeddings.projection.weight",
        "d c p p", "fan_in", "projection of a patch's pixels to a token"),
    Row("patch_embed.proj.bias", "timesformer.embeddings.patch_embeddings.projection.bias",
        "d", "fan_in", "projection of a patch, bias"),
)  # fmt: skip

TIME = (
    Row("time_embed", "timesformer.embeddings.time_embeddings", "1 t d", "zeros",
        "position of each frame in the clip"),
)  # fmt: skip

_BLOCK, _LAYER = "blocks.{i}.", "timesformer.encoder.layer.{i}."

ATTENTION = (
    Row(_BLOCK + "{step}attn.qkv.weight", _LAYER + "{step}attention.attention.qkv.weight",
        "3*d d", "normal", "queries, then keys, then values, each head by head"),
    Row(_BLOCK + "{step}attn.qkv.bias", _LAYER + "{step}attention.attention.qkv.bias",
        "3*d", "zeros", "queries, keys and values, bias (absent where qkv_bias is false)"),
    Row(_BLOCK + "{step}attn.proj.weight", _LAYER + "{step}attention.output.dense.weight",
        "d d", "normal", "projection of all heads' results"),
    Row(_BLOCK + "{step}attn.proj.bias", _LAYER + "{step}attention.output.dense.bias",
        "d", "zeros", "projection of all heads' results, bias"),
)  # fmt: skip

EARLIER_STEP = (
    Row(_BLOCK + "{step}norm1.weight", _LAYER + "{step}layernorm.weight",
        "d", "ones", "LayerNorm before the step, scale"),
    Row(_BLOCK + "{step}norm1.bias", _LAYER + "{step}layernorm.bias",
        "d", "zeros", "LayerNorm before the step, shift"),
    *ATTENTION,
    Row(_BLOCK + "{step}fc.weight", _LAYER + "{step}dense.weight",
        "d d", "zeros", "one more linear layer after the step"),
    Row(_BLOCK + "{step}fc.bias", _LAYER + "{step}dense.bias",
        "d", "zeros", "one more linear layer after the step, bias"),
)  # fmt: skip

LAST_STEP = (
    Row(_BLOCK + "norm1.weight", _LAYER + "layernorm_before.weight",
        "d", "ones", "LayerNorm before the last step, scale"),
    Row(_BLOCK + "norm1.bias", _LAYER + "layernorm_before.bias",
        "d", "zeros", "LayerNorm before the last step, shift"),
    *ATTENTION,
)  # fmt: skip

MLP = (
    Row(_BLOCK + "norm2.weight", _LAYER + "layernorm_after.weight",
        "d", "ones", "LayerNorm before the MLP, scale"),
    Row(_BLOCK + "norm2.bias", _LAYER + "layernorm_after.bias",
        "d", "zeros", "LayerNorm before the MLP, shift"),
    Row(_BLOCK + "mlp.fc1.weight", _LAYER + "intermediate.dense.weight",
        "m d", "normal", "MLP, first layer"),
    Row(_BLOCK + "mlp.fc1.bias", _LAYER + "intermediate.dense.bias",
        "m", "zeros", "MLP, first layer, bias"),
    Row(_BLOCK + "mlp.fc2.weight", _LAYER + "output.dense.weight",
        "d m", "normal", "MLP, second layer"),
    Row(_BLOCK + "mlp.fc2.bias", _LAYER + "output.dense.bias",
        "d", "zeros", "MLP, second layer, bias"),
)  # fmt: skip

CLASSIFIER = (
    Row("norm.weight", "timesformer.layernorm.weight", "d", "ones", "last LayerNorm, scale"),
    Row("norm.bias", "timesformer.layernorm.bias", "d", "zeros", "last LayerNorm, shift"),
    Row("head.weight", "classifier.weight", "l d", "normal", "classifier"),
    Row("head.bias", "classifier.bias", "l", "zeros", "classifier, bias"),
)  # fmt: skip


class Weight(NamedTuple):
    """One weight of one model."""

    shape: tuple[int, ...]
    start: Start
    meaning: str
    hugging_face: str


@cache
def weight_table(config: TimeSformerConfig) -> Mapping[str, Weight]:
    """Every weight of a model by its name in the original's state dict, in the order of use."""
    lengths = {"1": 1, "1+n": 1 + config.grid[1] * config.grid[2], "t": config.num_frames}
    lengths |= {"d": config.hidden_size, "3*d": 3 * config.hidden_size, "c": config.num_channels}
    lengths |= {"p": config.patch_size, "m": config.intermediate_size, "l": config.num_labels}
    table: dict[str, Weight] = {}

    def add(rows: tuple[Row, ...], i: int = 0, step: str = "") -> None:
        for row in rows:
            shape = tuple(lengths[axis] for axis in row.shape.split())
            name, hugging_face = (n.format(i=i, step=step) for n in (row.name, row.hugging_face))
            if config.qkv_bias or not name.endswith("qkv.bias"):
                table[name] = Weight(shape, row.start, row.meaning, hugging_face)

    add(EMBEDDINGS)
    add(() if config.separate_frames else TIME)
    for i in range(config.num_hidden_layers):
        for step in config.steps:
            prefix = step_prefix(config.attention_type, step)
            add(EARLIER_STEP if prefix else LAST_STEP, i, prefix)
        add(MLP, i)
    add(CLASSIFIER)
    return MappingProxyType(table)


def count_parameters(config: TimeSformerConfig) -> int:
    """How many numbers the weights of a model hold."""
    return sum(prod(weight.shape) for weight in weight_table(config).values())


def misfits(weights: Mapping[str, Any], config: TimeSformerConfig) -> Iterator[str]:
    """What is wrong with the names and shapes of arrays or tensors, a line for each."""
    table = weight_table(config)
    for name, weight in table.items():
        if name not in weights:
            yield f"tensor {name} is missing, expected {shape_text(weight.shape)}"
        elif weights[name].shape != weight.shape:
            found = shape_text(weights[name].shape)
            yield f"tensor {name} is {found}, expected {shape_text(weight.shape)}"
    for name in weights:
        if name not in table:
            yield (
                f"tensor {name} ({shape_text(weights[name].shape)}) is unexpected: no weight of a "
                f"{config.attention_type} model with {config.num_hidden_layers} blocks"
            )


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as messages have it."""
    return " x ".join(map(str, shape)) or "a single number"


def check_weights(weights: Mapping[str, Any], config: TimeSformerConfig) -> None:
    """Raises ValueError, which names the first weight that does not fit the config."""
    for problem in misfits(weights, config):
        raise ValueError(problem)


def part(weights: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The weights of one block or layer: those whose names start with `prefix.`, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}
