"""A port of TimeSformer in plain NumPy: reshapes, transposes and products, as any framework has."""

from __future__ import annotations

from math import isqrt, sqrt

import numpy as np
from scipy.special import erf


def nearest(size, new_size):
    """The source of each place when `size` places are resized to `new_size`, in float32."""
    ratio = np.float32(size) / np.float32(new_size)
    source = np.floor(np.arange(new_size, dtype=np.float32) * ratio).astype(int)
    return np.minimum(source, size - 1)


def positions(entries, h, w):
    """Which entry of the table the class token and each patch of an h x w grid get."""
    if entries == 1 + h * w:
        return np.arange(entries)
    side = isqrt(entries - 1)
    grid = 1 + side * nearest(side, h)[:, None] + nearest(side, w)
    return np.concatenate([[0], grid.ravel()])


def patchify(video, weights, config):
    """Every frame as a sequence: the class token, then the patches, positions added."""
    b, t, c, height, width = video.shape
    p, d = config.patch_size, config.hidden_size
    h, w = height // p, width // p
    whole = video[..., : h * p, : w * p]
    pixels = whole.reshape(b, t, c, h, p, w, p).transpose(0, 1, 3, 5, 2, 4, 6)
    kernel = weights["patch_embed.proj.weight"].reshape(d, c * p * p)
    patches = pixels.reshape(b, t, h * w, c * p * p) @ kernel.T + weights["patch_embed.proj.bias"]
    class_tokens = np.broadcast_to(weights["cls_token"], (b, t, 1, d))
    tokens = np.concatenate([class_tokens, patches], axis=2)
    table = weights["pos_embed"][0]
    return tokens + table[positions(len(table), h, w)]


def time_embedding(frames, weights, config):
    """The tokens that enter block 0: one sequence a clip, time fastest."""
    b, t, s, d = frames.shape
    if config.attention_type == "space_only":
        return frames.reshape(b * t, s, d)
    table = weights["time_embed"][0]
    time = table[nearest(len(table), t)]
    patches = frames[:, :, 1:].transpose(0, 2, 1, 3) + time
    return np.concatenate([frames[:, 0, :1], patches.reshape(b, (s - 1) * t, d)], axis=1)


def linear(x, weights, name):
    """The product with a weight of outputs x inputs, plus the bias where there is one."""
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def layer_norm(x, weights, name, eps):
    """Normalise each token by itself, then scale and shift it."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt(variance + np.float32(eps))
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def softmax(x):
    """Over the last axis; less the maximum, so that nothing overflows."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def self_attention(x, weights, name, heads):
    """x: groups of m tokens; the tokens of a group look at each other."""
    g, m, d = x.shape
    qkv = linear(x, weights, f"{name}.qkv").reshape(g, m, 3, heads, d // heads)
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)
    attention = softmax(q @ k.swapaxes(-1, -2) / np.float32(sqrt(d // heads)))
    mixed = (attention @ v).transpose(0, 2, 1, 3).reshape(g, m, d)
    return linear(mixed, weights, f"{name}.proj")


def group(patches, frames, step):
    """Patches as they lie between blocks, b (n t) d, to groups: one way for each step."""
    b, s, d = patches.shape
    if step == "temporal":
        return patches.reshape(-1, frames, d)
    if step == "spatial":
        by_place = patches.reshape(b, s // frames, frames, d)
        return by_place.transpose(0, 2, 1, 3).reshape(b * frames, s // frames, d)
    return patches


def ungroup(groups, like, frames, step):
    """What `group` did, undone; `like` has the shape to return to."""
    b, s, d = like.shape
    if step == "spatial":
        by_frame = groups.reshape(b, frames, s // frames, d)
        return by_frame.transpose(0, 2, 1, 3).reshape(like.shape)
    return groups.reshape(like.shape)


def temporal_step(tokens, weights, config, name, frames, step):
    """The patches of a place look at each other; the class token waits."""
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = group(patches, frames, step)
    normed = layer_norm(groups, weights, f"{name}.temporal_norm1", config.layer_norm_eps)
    update = self_attention(normed, weights, f"{name}.temporal_attn", config.num_attention_heads)
    update = linear(update, weights, f"{name}.temporal_fc")
    return np.concatenate([class_token, patches + ungroup(update, patches, frames, step)], axis=1)


def last_step(tokens, weights, config, name, frames, step):
    """Every group gets a copy of the class token; what the copies learn is averaged."""
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = group(patches, frames, step)
    copies = len(groups) // len(tokens)
    groups = np.concatenate([np.repeat(class_token, copies, axis=0), groups], axis=1)
    normed = layer_norm(groups, weights, f"{name}.norm1", config.layer_norm_eps)
    update = self_attention(normed, weights, f"{name}.attn", config.num_attention_heads)
    class_update = update[:, :1].reshape(len(tokens), copies, 1, -1).mean(axis=1)
    patch_update = ungroup(update[:, 1:], patches, frames, step)
    return tokens + np.concatenate([class_update, patch_update], axis=1)


def attention_step(tokens, weights, config, layer, grid, step):
    """The tokens after one attention step and its residual."""
    run = temporal_step if step == "temporal" else last_step
    frames = 1 if config.attention_type == "space_only" else grid[0]
    return run(tokens, weights, config, f"blocks.{layer}", frames, step)


def gelu(x):
    """The exact one."""
    return x * (1 + erf(x / np.float32(sqrt(2)))) / 2


def mlp(tokens, weights, config, layer):
    """The tokens after the MLP and its residual."""
    name = f"blocks.{layer}"
    normed = layer_norm(tokens, weights, f"{name}.norm2", config.layer_norm_eps)
    hidden = gelu(linear(normed, weights, f"{name}.mlp.fc1"))
    return tokens + linear(hidden, weights, f"{name}.mlp.fc2")


def block(tokens, weights, config, layer, grid):
    """The tokens after the steps of a block, in order, and its MLP."""
    for step in config.steps:
        tokens = attention_step(tokens, weights, config, layer, grid, step)
    return mlp(tokens, weights, config, layer)


def classifier(tokens, weights, config, grid):
    """Logits from the class token; of a space-only model, from the mean of its frames."""
    class_tokens = tokens[:, 0]
    if config.attention_type == "space_only":
        class_tokens = class_tokens.reshape(-1, grid[0], config.hidden_size).mean(axis=1)
    normed = layer_norm(class_tokens, weights, "norm", config.layer_norm_eps)
    return linear(normed, weights, "head")


def forward(video, weights, config):
    """The whole model."""
    grid = video.shape[1], video.shape[3] // config.patch_size, video.shape[4] // config.patch_size
    tokens = time_embedding(patchify(video, weights, config), weights, config)
    for layer in range(config.num_hidden_layers):
        tokens = block(tokens, weights, config, layer, grid)
    return classifier(tokens, weights, config, grid)
