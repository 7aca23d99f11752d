"""The gradient of the loss, block by block in reverse: what autograd does for PyTorch.

Every function here computes what its namesake in the specification computes, and also returns its
way back: a function from the gradient of its result to the gradient of its input, which adds the
gradients of the weights it passes to `grads`, by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from einops import rearrange, reduce, repeat
from jaxtyping import Float, Int
from scipy.special import erf

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks import layers, patchify, time_embedding
from timesformer_ref.numpy_blocks.classifier import cross_entropy
from timesformer_ref.numpy_blocks.layers import Array, Weights, nearest
from timesformer_ref.schemes import STEPS, Grid
from timesformer_ref.weights import part

Gradients = defaultdict[str, Array | float]
Back = Callable[[Array], Array]


def gradients(
    video: Float[Array, "b t c H W"],
    labels: Int[Array, " b"],
    weights: Weights,
    config: TimeSformerConfig,
) -> tuple[np.floating, dict[str, Array]]:
    """The training loss of a batch, and its gradient by weight name (original: autograd).

    video: normalised clips. labels: the class of each clip.
    Returns the mean cross-entropy and, for every weight, an array of its shape and type.
    Raises ValueError for a clip that the model cannot take.
    """
    grads: Gradients = defaultdict(float)
    grid = config.clip_grid(video.shape)
    tokens, embedding_back = embedding(video, weights, config, grads)
    ways_back: list[Back] = []
    for i in range(config.num_hidden_layers):
        for step in config.steps:
            run = last_step if step == config.steps[-1] else earlier_step
            tokens, back = run(tokens, weights, config, i, grid, step, grads)
            ways_back.append(back)
        tokens, back = feed_forward(tokens, weights, config, i, grads)
        ways_back.append(back)
    logits, logits_back = classifier(tokens, weights, config, grid[0], grads)
    truth = np.eye(config.num_labels, dtype=logits.dtype)[labels]
    d = logits_back((layers.softmax(logits) - truth) / len(labels))
    for back in reversed(ways_back):
        d = back(d)
    embedding_back(d)
    return cross_entropy(logits, labels), {name: np.asarray(grads[name]) for name in weights}


def linear(
    x: Float[Array, "*batch i"], weights: Weights, name: str, grads: Gradients
) -> tuple[Float[Array, "*batch o"], Back]:
    """See `layers.linear`; `name` is the layer's."""
    w = part(weights, name)

    def back(d: Array) -> Array:
        rows = "... i -> (...) i"
        grads[f"{name}.weight"] += rearrange(d, rows).T @ rearrange(x, rows)
        if "bias" in w:
            grads[f"{name}.bias"] += reduce(d, "... o -> o", "sum")
        return d @ w["weight"]

    return layers.linear(x, w, bias="bias" in w), back


def layer_norm(
    x: Float[Array, "*batch d"], weights: Weights, name: str, eps: float, grads: Gradients
) -> tuple[Float[Array, "*batch d"], Back]:
    """See `layers.layer_norm`."""
    w = part(weights, name)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    normed = (x - x.mean(axis=-1, keepdims=True)) / deviation

    def back(d: Array) -> Array:
        grads[f"{name}.weight"] += reduce(d * normed, "... d -> d", "sum")
        grads[f"{name}.bias"] += reduce(d, "... d -> d", "sum")
        d = d * w["weight"]
        shared = d.mean(axis=-1, keepdims=True)  # the mean's share; `along` is the variance's
        along = normed * (d * normed).mean(axis=-1, keepdims=True)
        return (d - shared - along) / deviation

    return layers.layer_norm(x, w, eps), back


def gelu(x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Back]:
    """See `layers.gelu`."""
    slope = (1 + erf(x / sqrt(2))) / 2 + x * np.exp(-np.square(x) / 2) / sqrt(2 * pi)
    return layers.gelu(x), lambda d: d * slope


def self_attention(
    x: Float[Array, "g s d"], weights: Weights, name: str, heads: int, grads: Gradients
) -> tuple[Float[Array, "g s d"], Back]:
    """See `layers.self_attention`."""
    qkv, qkv_back = linear(x, weights, f"{name}.qkv", grads)
    q, k, v = rearrange(qkv, "g s (three a k) -> three g a s k", three=3, a=heads)
    scale = 1 / sqrt(q.shape[-1])
    attention = layers.softmax(q @ k.mT * scale)
    mixed = rearrange(attention @ v, "g a s k -> g s (a k)")
    update, proj_back = linear(mixed, weights, f"{name}.proj", grads)

    def back(d: Array) -> Array:
        d_mixed = rearrange(proj_back(d), "g s (a k) -> g a s k", a=heads)
        d_attention = d_mixed @ v.mT
        rest = (d_attention * attention).sum(axis=-1, keepdims=True)
        d_scores = attention * (d_attention - rest) * scale
        d_qkv = [d_scores @ k, d_scores.mT @ q, attention.mT @ d_mixed]
        return qkv_back(rearrange(d_qkv, "three g a s k -> g s (three a k)"))

    return update, back


def earlier_step(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grid: Grid,
    step: str,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Back]:
    """See `divided_attention.earlier_step`, for block i."""
    rule, lengths, name = STEPS[step], STEPS[step].lengths(len(tokens), grid), f"blocks.{i}.{step}"
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    normed, norm_back = layer_norm(groups, weights, f"{name}_norm1", eps, grads)
    update, attention_back = self_attention(normed, weights, f"{name}_attn", heads, grads)
    update, fc_back = linear(update, weights, f"{name}_fc", grads)
    patches = patches + rearrange(update, rule.ungroup, **lengths)

    def back(d: Array) -> Array:
        d_groups = norm_back(attention_back(fc_back(rearrange(d[:, 1:], rule.group, **lengths))))
        d_patches = d[:, 1:] + rearrange(d_groups, rule.ungroup, **lengths)
        return np.concatenate([d[:, :1], d_patches], axis=1)

    return np.concatenate([class_token, patches], axis=1), back


def last_step(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grid: Grid,
    step: str,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Back]:
    """See `divided_attention.last_step`, for block i."""
    rule, lengths, name = STEPS[step], STEPS[step].lengths(len(tokens), grid), f"blocks.{i}"
    groups = rearrange(tokens[:, 1:], rule.group, **lengths)
    per_clip = len(groups) // len(tokens)
    copies = repeat(tokens[:, :1], "b 1 d -> (b g) 1 d", g=per_clip)
    groups = np.concatenate([copies, groups], axis=1)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    normed, norm_back = layer_norm(groups, weights, f"{name}.norm1", eps, grads)
    update, attention_back = self_attention(normed, weights, f"{name}.attn", heads, grads)
    class_update = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", g=per_clip)
    patch_update = rearrange(update[:, 1:], rule.ungroup, **lengths)

    def back(d: Array) -> Array:
        d_copies = repeat(d[:, :1] / per_clip, "b 1 d -> (b g) 1 d", g=per_clip)
        d_groups = np.concatenate([d_copies, rearrange(d[:, 1:], rule.group, **lengths)], axis=1)
        d_groups = norm_back(attention_back(d_groups))
        d_class = reduce(d_groups[:, :1], "(b g) 1 d -> b 1 d", "sum", g=per_clip)
        d_patches = rearrange(d_groups[:, 1:], rule.ungroup, **lengths)
        return d + np.concatenate([d_class, d_patches], axis=1)

    return tokens + np.concatenate([class_update, patch_update], axis=1), back


def feed_forward(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Back]:
    """See `divided_attention.feed_forward`, for block i."""
    name = f"blocks.{i}"
    normed, norm_back = layer_norm(tokens, weights, f"{name}.norm2", config.layer_norm_eps, grads)
    hidden, fc1_back = linear(normed, weights, f"{name}.mlp.fc1", grads)
    active, gelu_back = gelu(hidden)
    update, fc2_back = linear(active, weights, f"{name}.mlp.fc2", grads)
    return tokens + update, lambda d: d + norm_back(fc1_back(gelu_back(fc2_back(d))))


def classifier(
    tokens: Float[Array, "b2 s d"],
    weights: Weights,
    config: TimeSformerConfig,
    frames: int,
    grads: Gradients,
) -> tuple[Float[Array, "b labels"], Back]:
    """See `classifier.classifier`; only the class token, its first, gets a gradient."""
    t = frames if config.separate_frames else 1
    class_token = reduce(tokens[:, 0], "(b t) d -> b d", "mean", t=t)
    normed, norm_back = layer_norm(class_token, weights, "norm", config.layer_norm_eps, grads)
    logits, head_back = linear(normed, weights, "head", grads)

    def back(d: Array) -> Array:
        d_tokens = np.zeros_like(tokens)
        d_tokens[:, 0] = repeat(norm_back(head_back(d)) / t, "b d -> (b t) d", t=t)
        return d_tokens

    return logits, back


def embedding(
    video: Float[Array, "b t c H W"], weights: Weights, config: TimeSformerConfig, grads: Gradients
) -> tuple[Float[Array, "b2 s d"], Callable[[Array], None]]:
    """See `patchify.patchify` and `time_embedding.time_embedding`; the video gets no gradient."""
    t, h, w = config.clip_grid(video.shape)
    frames = patchify.patchify(video, weights, config)

    def back(d: Array) -> None:
        d_frames = np.zeros_like(frames)
        if config.separate_frames:
            d_frames += rearrange(d, "(b t) s d -> b t s d", t=t)
        else:
            d_frames[:, 0, 0] = d[:, 0]  # of the equal class tokens, the first goes on
            d_frames[:, :, 1:] = rearrange(d[:, 1:], "b (n t) d -> b t n d", t=t)
            trained = weights["time_embed"].shape[1]
            d_time = reduce(d_frames[:, :, 1:], "b t n d -> t d", "sum")
            grads["time_embed"] += _scatter(d_time, nearest(trained, t), trained)
        places = weights["pos_embed"].shape[1]
        d_places = reduce(d_frames, "b t s d -> s d", "sum")
        grads["pos_embed"] += _scatter(d_places, patchify.positions(places, h, w), places)
        grads["cls_token"] += d_places[None, :1]
        pixels = rearrange(patchify.patch_pixels(video, config), "b t n i -> (b t n) i")
        d_patches = rearrange(d_frames[:, :, 1:], "b t n d -> (b t n) d")
        kernel = weights["patch_embed.proj.weight"].shape
        grads["patch_embed.proj.weight"] += (d_patches.T @ pixels).reshape(kernel)
        grads["patch_embed.proj.bias"] += d_patches.sum(axis=0)

    return time_embedding.time_embedding(frames, weights, config), back


def _scatter(d: Float[Array, "m d"], source: Int[Array, " m"], places: int) -> Array:
    """The gradient of a table from which place i took entry source[i]."""
    table = np.zeros((1, places, d.shape[1]), d.dtype)
    np.add.at(table[0], source, d)
    return table
