"""Initial weights: random, from an image ViT, or resized from another geometry."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import TypeVar

import numpy as np
from torch import Tensor

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import nearest
from timesformer_ref.schemes import step_prefix
from timesformer_ref.weights import weight_table

Table = TypeVar("Table", np.ndarray, Tensor)


def initial_weights(config: TimeSformerConfig, seed: int) -> dict[str, np.ndarray]:
    """Random float32 weights, distributed as the original's (`VisionTransformer.__init__`)."""
    rng = np.random.default_rng(seed)
    table = weight_table(config)
    bound = prod(table["patch_embed.proj.weight"].shape[1:]) ** -0.5
    start: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
        "zeros": lambda shape: np.zeros(shape, np.float32),
        "ones": lambda shape: np.ones(shape, np.float32),
        # The original cuts at an absolute 2, a hundred standard deviations away: a formality, kept.
        "normal": lambda shape: (0.02 * rng.standard_normal(shape, np.float32)).clip(-2, 2),
        "fan_in": lambda shape: rng.uniform(-bound, bound, shape).astype(np.float32),
    }
    return {name: start[weight.start](weight.shape) for name, weight in table.items()}


def random_weights(config: TimeSformerConfig, seed: int) -> dict[str, np.ndarray]:
    """Random float32 weights with none at zero, so that every layer affects the logits."""
    rng = np.random.default_rng(seed)
    return {
        name: weight if weight.any() else rng.normal(0, 0.02, weight.shape).astype(np.float32)
        for name, weight in initial_weights(config, seed).items()
    }


def weights_from_image_vit(
    vit: Mapping[str, np.ndarray], config: TimeSformerConfig, seed: int = 0
) -> dict[str, np.ndarray]:
    """Initial values of a video model from an image ViT's state dict (original `load_pretrained`).

    Every attention step of a block starts as the ViT's one attention. Positions for another
    number of patches are resized, nearest over the flattened table. A classifier for other labels,
    the time embedding and each `STEP_fc` keep the fresh weights of `seed`, and so does every weight
    that the ViT lacks. A kernel for 3 channels is summed to 1, or repeated in proportion to more.

    Raises ValueError for another model's state dict, and for a weight whose shape does not fit.
    """
    attention = "blocks.0.attn.qkv.weight"
    if attention not in vit:
        raise ValueError(f"an image ViT has {attention}, this state dict has not")
    weights = initial_weights(config, seed)
    for name, fresh in weights.items():
        source = vit.get(_image_name(name, config))
        if source is None or (name.startswith("head.") and source.shape != fresh.shape):
            continue
        if name == "patch_embed.proj.weight":
            source = _kernel(source, fresh.shape)
        if name == "pos_embed":
            source = resize_positions(source, fresh.shape[1] - 1)
        if source.shape != fresh.shape:
            raise ValueError(
                f"{name} of the image ViT has shape {source.shape}, the config needs {fresh.shape}"
            )
        weights[name] = np.array(source)
    return weights


def _image_name(name: str, config: TimeSformerConfig) -> str:
    """The name of the image ViT's weight that initialises a weight of this name."""
    for step in config.steps:
        prefix = step_prefix(config.attention_type, step)
        name = name.replace(f".{prefix}norm1.", ".norm1.").replace(f".{prefix}attn.", ".attn.")
    return name


def _kernel(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A patch projection for RGB converted to `shape[1]` channels; flattened kernels unfold."""
    d, channels, p, _ = shape
    if kernel.ndim == 2 and kernel.shape[1] == 3 * p * p:
        kernel = kernel.reshape(d, 3, p, p)
    if channels == 1 and kernel.shape[1] == 3:
        return kernel.sum(axis=1, keepdims=True)
    if kernel.shape[1] == 3 != channels:
        repeats = -(-channels // 3)
        return np.tile(kernel, (1, repeats, 1, 1))[:, :channels] * np.float32(3 / channels)
    return kernel


def resize_positions(pos_embed: Table, patches: int) -> Table:
    """A position table for another number of patches, nearest over the *flattened* table.

    This is what the original's loader does; its forward pass resizes in two dimensions.
    """
    source = 1 + nearest(pos_embed.shape[1] - 1, patches)
    return pos_embed[:, np.concatenate([[0], source])]


def resize_weights(
    weights: Mapping[str, Table], config: TimeSformerConfig, num_frames: int, image_size: int
) -> tuple[dict[str, Table], TimeSformerConfig]:
    """The same weights for another clip length and frame size, resized as the original loads them.

    Raises ValueError for a geometry that the config cannot have.
    """
    resized = replace(config, num_frames=num_frames, image_size=image_size)
    new = dict(weights)
    new["pos_embed"] = resize_positions(weights["pos_embed"], resized.grid[1] * resized.grid[2])
    if "time_embed" in weights:
        new["time_embed"] = weights["time_embed"][:, nearest(config.num_frames, num_frames)]
    return new, resized
