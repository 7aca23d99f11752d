"""The model to fine-tune: a TimeSformer's or an image ViT's weights, with other classes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from timesformer_ref.checkpoints import Checkpoint, CheckpointError
from timesformer_ref.checkpoints.geometry import infer_config
from timesformer_ref.checkpoints.hugging_face import open_folder
from timesformer_ref.checkpoints.initialise import initial_weights, weights_from_image_vit
from timesformer_ref.checkpoints.names import all_tensors
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.checkpoints.tensors import open_tensors
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.training.recipe import Recipe


def with_classes(checkpoint: Checkpoint, classes: Sequence[str], seed: int) -> Checkpoint:
    """The checkpoint with a new classifier for these classes, unless they are already its own."""
    if checkpoint.labels == tuple(classes):
        return checkpoint
    config = replace(checkpoint.config, num_labels=len(classes))
    fresh = initial_weights(replace(config, num_hidden_layers=1), seed)
    head = {name: torch.from_numpy(w) for name, w in fresh.items() if name.startswith("head.")}
    weights = {**checkpoint.weights, **head}
    return replace(checkpoint, config=config, weights=weights, labels=tuple(classes))


def model_to_train(start: Checkpoint, preprocessing: Preprocessing, recipe: Recipe) -> TimeSformer:
    """The model of a checkpoint, with a recipe's stochastic depth; it states its preprocessing."""
    config, stated = start.config, asdict(preprocessing)
    if recipe.drop_path_rate is not None:
        config = replace(config, drop_path_rate=recipe.drop_path_rate)
    return TimeSformer.from_checkpoint(replace(start, config=config, preprocessing=stated))


NAMES = {
    r"^vit\.": "",
    r"^embeddings\.cls_token$": "cls_token",
    r"^embeddings\.position_embeddings$": "pos_embed",
    r"^embeddings\.patch_embeddings\.projection\.": "patch_embed.proj.",
    r"^(encoder\.layer|layers)\.": "blocks.",
    r"\.attention\.(attention\.query|q_proj)\.": ".attn.q.",
    r"\.attention\.(attention\.key|k_proj)\.": ".attn.k.",
    r"\.attention\.(attention\.value|v_proj)\.": ".attn.v.",
    r"\.attention\.(output\.dense|o_proj)\.": ".attn.proj.",
    r"\.intermediate\.dense\.": ".mlp.fc1.",
    r"\.output\.dense\.": ".mlp.fc2.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
    r"^layernorm\.": "norm.",
    r"^classifier\.": "head.",
}
"""Names of an image ViT in transformers, in its files and its modules, as they are in timm."""


def by_timms_names(vit: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An image ViT's weights by their names in timm, which has query, key and value in one."""
    renamed = {}
    for name, weight in vit.items():
        for pattern, timm in NAMES.items():
            name = re.sub(pattern, timm, name)
        renamed[name] = weight
    for query in [name for name in renamed if ".attn.q." in name]:
        parts = [query.replace(".q.", f".{part}.") for part in "qkv"]
        if renamed.keys() >= set(parts):
            renamed[query.replace(".q.", ".qkv.")] = torch.cat([renamed.pop(p) for p in parts])
    return renamed


def from_image_vit(
    path: Path,
    classes: Sequence[str],
    seed: int,
    num_attention_heads: int | None = None,
    **sizes: Any,
) -> Checkpoint:
    """A video model that starts as an image ViT (see `weights_from_image_vit`).

    path: a state dict, or a folder of transformers or timm. Names are those of timm, from which the
        original started too, or of transformers' `ViTModel` and `ViTForImageClassification`.
    sizes: other fields of the config, such as `attention_type`; None for the ViT's own.
    Raises CheckpointError for another file, and ValueError for an impossible model.
    """
    with open_folder(path) if path.is_dir() else open_tensors(path) as content:
        vit = by_timms_names(all_tensors(path, content.values))
    head = {"head.weight": torch.empty(1, 1)}  # which those for features alone lack
    stated = {} if num_attention_heads is None else {"num_attention_heads": num_attention_heads}
    image = infer_config(path, head | vit, stated)
    given = {field: size for field, size in sizes.items() if size is not None}
    config = replace(image, num_labels=len(classes), **given)
    arrays = {name: weight.float().numpy() for name, weight in vit.items()}
    try:
        start = weights_from_image_vit(arrays, config, seed)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    weights = {name: torch.from_numpy(weight) for name, weight in start.items()}
    return Checkpoint(config, weights, tuple(classes))
