"""A model's geometry, inferred from its tensors, whatever a file's name or config states."""

import re
from collections.abc import Mapping
from itertools import count
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError
from timesformer_ref.checkpoints.labels import is_text
from timesformer_ref.config import TimeSformerConfig, shown
from timesformer_ref.schemes import SCHEMES, STEPS
from timesformer_ref.weights import misfits, shape_text

HEAD_WIDTH = 64
"""Width of a head in every published TimeSformer; no tensor shows it."""

NOT_IN_TENSORS = (
    "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate",
)  # fmt: skip
"""The fields that only a config can give, besides the heads; the default otherwise."""

AXES = {
    "patch_embed.proj.weight": "width x channels x patch x patch",
    "pos_embed": "1 x (1 + patches) x width",
    "time_embed": "1 x frames x width",
    "blocks.0.mlp.fc1.weight": "MLP width x width",
    "head.weight": "labels x width",
}
"""The tensors that show the geometry, and how."""

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""The types in which weights are stored."""


def infer_config(
    path: object, weights: Mapping[str, Tensor], stated: Mapping[str, Any]
) -> TimeSformerConfig:
    """The config that these weights fit.

    stated: fields of a config stored with the weights; only what tensors cannot show is taken
    from it (heads, `NOT_IN_TENSORS`, and for a model without time embedding the number of frames).
    Raises CheckpointError where the tensors are not those of a TimeSformer.
    """
    width, channels, patch, _ = _shape(path, weights, "patch_embed.proj.weight")
    patches = _shape(path, weights, "pos_embed")[1] - 1
    if isqrt(patches) ** 2 != patches or patches == 0:
        raise CheckpointError(f"{path}: pos_embed is for {patches} patches, expected a square grid")
    frames = stated.get("num_frames", TimeSformerConfig.num_frames)
    if "time_embed" in weights:
        frames = _shape(path, weights, "time_embed")[1]
    fields = {
        **{name: stated[name] for name in NOT_IN_TENSORS if name in stated},
        "num_attention_heads": _heads(path, width, stated),
        "image_size": isqrt(patches) * patch,
        "patch_size": patch,
        "num_channels": channels,
        "num_frames": frames,
        "hidden_size": width,
        "num_hidden_layers": _depth(path, weights),
        "intermediate_size": _shape(path, weights, "blocks.0.mlp.fc1.weight")[0],
        "qkv_bias": "blocks.0.attn.qkv.bias" in weights,
        "attention_type": _scheme(path, weights),
        "num_labels": _shape(path, weights, "head.weight")[0],
    }
    try:
        return TimeSformerConfig(**fields)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _shape(path: object, weights: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """The shape of a tensor of `AXES`. Raises CheckpointError for a wrong number of axes."""
    axes = AXES[name]
    if name not in weights:
        raise CheckpointError(f"{path}: tensor {name} is missing, expected {axes}")
    found = tuple(weights[name].shape)
    if len(found) != len(axes.split(" x ")) or 0 in found:
        raise CheckpointError(f"{path}: tensor {name} is {shape_text(found)}, expected {axes}")
    return found


def _heads(path: object, width: int, stated: Mapping[str, Any]) -> Any:
    """The number of heads as stated, else of heads as wide as in the published models."""
    if "num_attention_heads" not in stated and width % HEAD_WIDTH:
        raise CheckpointError(
            f"{path}: no tensor shows the number of heads, and heads of {HEAD_WIDTH} do not divide "
            f"the width {width}: give num_attention_heads (--heads)"
        )
    heads = stated.get("num_attention_heads", width // HEAD_WIDTH)
    if isinstance(heads, int) and heads > 0 and width % heads:
        raise CheckpointError(f"{path}: {heads} heads do not divide the tensors' width {width}")
    return heads


def _depth(path: object, weights: Mapping[str, Tensor]) -> int:
    """How many blocks are numbered from 0 without a gap; others are reported as unexpected."""
    numbers = {int(m[1]) for name in weights if (m := re.match(r"blocks\.(\d{1,6})\.", name))}
    depth = next(depth for depth in count(1) if depth not in numbers)
    if depth * 6 > len(weights):  # a block has 12 at least; the table of claimed ones could be huge
        raise CheckpointError(f"{path}: names {depth} blocks, but holds {len(weights)} tensors")
    return depth


def _scheme(path: object, weights: Mapping[str, Tensor]) -> str:
    """The scheme by the names of its earlier steps; joint and space-only differ in `time_embed`."""
    found = {
        step
        for step in STEPS
        if any(re.match(rf"blocks\.\d+\.{step}_(norm1|attn|fc)\.", name) for name in weights)
    }
    fitting = [name for name, steps in SCHEMES.items() if set(steps[:-1]) == found]
    if not fitting:
        raise CheckpointError(
            f"{path}: its blocks have the attention steps {', '.join(sorted(found))} before their "
            f"last, which is no known scheme: expected one of {', '.join(SCHEMES)}"
        )
    if len(fitting) > 1:
        return "joint_space_time" if "time_embed" in weights else "space_only"
    return fitting[0]


def check(path: object, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError for a checkpoint with problems: names the first, counts the others."""
    if problems := find_problems(checkpoint):
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{path}: {problems[0]}{more}")


def find_problems(checkpoint: Checkpoint) -> list[str]:
    """What is wrong with the weights (names, shapes, types, numbers) and the labels, in words."""
    config, weights, labels = checkpoint.config, checkpoint.weights, checkpoint.labels
    problems = list(misfits(weights, config))
    problems += [
        f"tensor {name} holds {type_names(weight.dtype)}, expected {type_names(*DTYPES)}"
        for name, weight in weights.items()
        if weight.dtype not in DTYPES
    ]
    counted: dict[object, int] = {}
    for name, weight in weights.items():
        view = weight.data_ptr(), weight.dtype, weight.shape, weight.stride()
        if view not in counted:  # layers may share their weights
            counted[view] = int((~torch.isfinite(weight)).sum()) if weight.dtype in DTYPES else 0
        if wrong := counted[view]:
            problems.append(
                f"tensor {name} has {wrong} of {weight.numel()} numbers that are NaN or infinite"
            )
    if labels is not None and len(labels) != config.num_labels:
        problems.append(f"names {len(labels)} classes, but head.weight has {config.num_labels}")
    problems += [
        f"the name of class {i} is not text: {shown(label)}"
        for i, label in enumerate(labels or ())
        if not is_text(label)
    ]
    return problems


def type_names(*dtypes: torch.dtype) -> str:
    """Types as messages have them."""
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
