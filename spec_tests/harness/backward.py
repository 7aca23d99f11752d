"""The backward pass of the model, written out in NumPy: what autograd does for PyTorch.

The suite needs it for the gradients that it expects of a port: in float64, and, to derive their
bound, in the arithmetic of any port.

Each function here computes the same as the function of that name in `numpy_blocks`, and returns a
pair: the result, and its vector-Jacobian product. That `vjp` is a function from the gradient of
the loss with respect to the result to the gradient with respect to the input; when it is called,
it also adds the gradients of the weights that the function uses to `grads`, by name.
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
Vjp = Callable[[Array], Array]
"""A vector-Jacobian product: from the gradient of a result to the gradient of its input."""


def gradients(
    video: Float[Array, "b t c H W"],
    labels: Int[Array, " b"],
    weights: Weights,
    config: TimeSformerConfig,
) -> tuple[np.floating, dict[str, Array]]:
    """The training loss of a batch, and its gradient by weight name (original: autograd).

    video: normalised clips. labels: the class of each clip.
    Returns the mean cross-entropy and, for every weight, an array of its shape and type.
    Raises ValueError for a clip or labels that the model cannot take.
    """
    grads: Gradients = defaultdict(float)
    grid = config.clip_grid(video.shape)
    config.check_labels(labels, len(video))
    tokens, embedding_vjp = embedding(video, weights, config, grads)
    vjps: list[Vjp] = []
    for i in range(config.num_hidden_layers):
        for step in config.steps:
            run = last_step if step == config.steps[-1] else earlier_step
            tokens, vjp = run(tokens, weights, config, i, grid, step, grads)
            vjps.append(vjp)
        tokens, vjp = feed_forward(tokens, weights, config, i, grads)
        vjps.append(vjp)
    logits, logits_vjp = classifier(tokens, weights, config, grid[0], grads)
    truth = np.eye(config.num_labels, dtype=logits.dtype)[labels]
    d = logits_vjp((layers.softmax(logits) - truth) / len(labels))
    for vjp in reversed(vjps):
        d = vjp(d)
    embedding_vjp(d)
    return cross_entropy(logits, labels), {name: np.asarray(grads[name]) for name in weights}


def linear(
    x: Float[Array, "*batch i"], weights: Weights, name: str, grads: Gradients
) -> tuple[Float[Array, "*batch o"], Vjp]:
    """`layers.linear` and its vjp; `name` is the layer's."""
    w = part(weights, name)

    def vjp(d: Array) -> Array:
        rows = "... i -> (...) i"
        grads[f"{name}.weight"] += rearrange(d, rows).T @ rearrange(x, rows)
        if "bias" in w:
            grads[f"{name}.bias"] += reduce(d, "... o -> o", "sum")
        return d @ w["weight"]

    return layers.linear(x, w, bias="bias" in w), vjp


def running_sum(x: Float[Array, "*batch d"]) -> Float[Array, " d"]:
    """The sum over all tokens, one after another (see `arithmetic`: What rounds)."""
    return np.add.accumulate(rearrange(x, "... d -> (...) d"))[-1]


def layer_norm(
    x: Float[Array, "*batch d"], weights: Weights, name: str, eps: float, grads: Gradients
) -> tuple[Float[Array, "*batch d"], Vjp]:
    """`layers.layer_norm` and its vjp."""
    w = part(weights, name)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    normed = (x - x.mean(axis=-1, keepdims=True)) / deviation

    def vjp(d: Array) -> Array:
        grads[f"{name}.weight"] += running_sum(d * normed)
        grads[f"{name}.bias"] += running_sum(d)
        d = d * w["weight"]
        shared = d.mean(axis=-1, keepdims=True)  # the mean's share; `along` is the variance's
        along = normed * (d * normed).mean(axis=-1, keepdims=True)
        return (d - shared - along) / deviation

    return layers.layer_norm(x, w, eps), vjp


def gelu(x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Vjp]:
    """`layers.gelu` and its vjp."""
    slope = (1 + erf(x / sqrt(2))) / 2 + x * np.exp(-np.square(x) / 2) / sqrt(2 * pi)
    return layers.gelu(x), lambda d: d * slope


def self_attention(
    x: Float[Array, "g s d"], weights: Weights, name: str, heads: int, grads: Gradients
) -> tuple[Float[Array, "g s d"], Vjp]:
    """`layers.self_attention` and its vjp."""
    qkv, qkv_vjp = linear(x, weights, f"{name}.qkv", grads)
    q, k, v = rearrange(qkv, "g s (three a k) -> three g a s k", three=3, a=heads)
    scale = 1 / sqrt(q.shape[-1])
    attention = layers.softmax(q @ k.mT * scale)
    mixed = rearrange(attention @ v, "g a s k -> g s (a k)")
    update, proj_vjp = linear(mixed, weights, f"{name}.proj", grads)

    def vjp(d: Array) -> Array:
        d_mixed = rearrange(proj_vjp(d), "g s (a k) -> g a s k", a=heads)
        d_attention = d_mixed @ v.mT
        rest = (d_attention * attention).sum(axis=-1, keepdims=True)
        d_scores = attention * (d_attention - rest) * scale
        d_qkv = [d_scores @ k, d_scores.mT @ q, attention.mT @ d_mixed]
        return qkv_vjp(rearrange(d_qkv, "three g a s k -> g s (three a k)"))

    return update, vjp


def earlier_step(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grid: Grid,
    step: str,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Vjp]:
    """`divided_attention.earlier_step` and its vjp, for block i."""
    rule, lengths, name = STEPS[step], STEPS[step].lengths(len(tokens), grid), f"blocks.{i}.{step}"
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    normed, norm_vjp = layer_norm(groups, weights, f"{name}_norm1", eps, grads)
    update, attention_vjp = self_attention(normed, weights, f"{name}_attn", heads, grads)
    update, fc_vjp = linear(update, weights, f"{name}_fc", grads)
    patches = patches + rearrange(update, rule.ungroup, **lengths)

    def vjp(d: Array) -> Array:
        d_groups = norm_vjp(attention_vjp(fc_vjp(rearrange(d[:, 1:], rule.group, **lengths))))
        d_patches = d[:, 1:] + rearrange(d_groups, rule.ungroup, **lengths)
        return np.concatenate([d[:, :1], d_patches], axis=1)

    return np.concatenate([class_token, patches], axis=1), vjp


def last_step(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grid: Grid,
    step: str,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Vjp]:
    """`divided_attention.last_step` and its vjp, for block i."""
    rule, lengths, name = STEPS[step], STEPS[step].lengths(len(tokens), grid), f"blocks.{i}"
    groups = rearrange(tokens[:, 1:], rule.group, **lengths)
    per_clip = len(groups) // len(tokens)
    copies = repeat(tokens[:, :1], "b 1 d -> (b g) 1 d", g=per_clip)
    groups = np.concatenate([copies, groups], axis=1)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    normed, norm_vjp = layer_norm(groups, weights, f"{name}.norm1", eps, grads)
    update, attention_vjp = self_attention(normed, weights, f"{name}.attn", heads, grads)
    class_update = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", g=per_clip)
    patch_update = rearrange(update[:, 1:], rule.ungroup, **lengths)

    def vjp(d: Array) -> Array:
        d_copies = repeat(d[:, :1] / per_clip, "b 1 d -> (b g) 1 d", g=per_clip)
        d_groups = np.concatenate([d_copies, rearrange(d[:, 1:], rule.group, **lengths)], axis=1)
        d_groups = norm_vjp(attention_vjp(d_groups))
        d_class = reduce(d_groups[:, :1], "(b g) 1 d -> b 1 d", "sum", g=per_clip)
        d_patches = rearrange(d_groups[:, 1:], rule.ungroup, **lengths)
        return d + np.concatenate([d_class, d_patches], axis=1)

    return tokens + np.concatenate([class_update, patch_update], axis=1), vjp


def feed_forward(
    tokens: Float[Array, "b s d"],
    weights: Weights,
    config: TimeSformerConfig,
    i: int,
    grads: Gradients,
) -> tuple[Float[Array, "b s d"], Vjp]:
    """`divided_attention.feed_forward` and its vjp, for block i."""
    name = f"blocks.{i}"
    normed, norm_vjp = layer_norm(tokens, weights, f"{name}.norm2", config.layer_norm_eps, grads)
    hidden, fc1_vjp = linear(normed, weights, f"{name}.mlp.fc1", grads)
    active, gelu_vjp = gelu(hidden)
    update, fc2_vjp = linear(active, weights, f"{name}.mlp.fc2", grads)
    return tokens + update, lambda d: d + norm_vjp(fc1_vjp(gelu_vjp(fc2_vjp(d))))


def classifier(
    tokens: Float[Array, "b2 s d"],
    weights: Weights,
    config: TimeSformerConfig,
    frames: int,
    grads: Gradients,
) -> tuple[Float[Array, "b labels"], Vjp]:
    """`classifier.classifier` and its vjp; only the class token, its first, gets a gradient."""
    t = frames if config.separate_frames else 1
    class_token = reduce(tokens[:, 0], "(b t) d -> b d", "mean", t=t)
    normed, norm_vjp = layer_norm(class_token, weights, "norm", config.layer_norm_eps, grads)
    logits, head_vjp = linear(normed, weights, "head", grads)

    def vjp(d: Array) -> Array:
        d_tokens = np.zeros_like(tokens)
        d_tokens[:, 0] = repeat(norm_vjp(head_vjp(d)) / t, "b d -> (b t) d", t=t)
        return d_tokens

    return logits, vjp


def embedding(
    video: Float[Array, "b t c H W"], weights: Weights, config: TimeSformerConfig, grads: Gradients
) -> tuple[Float[Array, "b2 s d"], Callable[[Array], None]]:
    """`patchify` and `time_embedding`, and their vjp, which returns no gradient of the video."""
    t, h, w = config.clip_grid(video.shape)
    frames = patchify.patchify(video, weights, config)

    def vjp(d: Array) -> None:
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

    return time_embedding.time_embedding(frames, weights, config), vjp


def _scatter(d: Float[Array, "m d"], source: Int[Array, " m"], places: int) -> Array:
    """The gradient of a table from which place i took entry source[i]."""
    table = np.zeros((1, places, d.shape[1]), d.dtype)
    np.add.at(table[0], source, d)
    return table
