"""TimeSformer in JAX, in float32: a whole port in one file, to be read from top to bottom.

It shares nothing with the specification but the scheme table and the names of the weights. First
come pure functions, in the order in which data flows; at the end they are compiled, and become the
port interface. What JAX demands of a port, and how this one meets it:

- A compiled function sees shapes, not numbers. Whatever follows from shapes alone (the grid, the
  places of a resized table, whether a clip can be taken) is plain Python and NumPy, runs while JAX
  traces the function, and costs nothing in later calls.
- Weights are a tree. Every block has the same branches, so they are stacked: `lax.scan` runs one
  compiled block over the stack, and a `layer` is a number, not a reason to compile again.
- Accelerators multiply in fewer bits by default: every product here demands full precision.

Axes: b batch, t frames, c channels, H W pixels, h w patch grid, n = h w patches of a frame, p q
rows and columns of a patch, d width, a heads, k width of a head, s tokens of a sequence, g groups,
m tokens of a group, i o inputs and outputs of a layer, v views. b2 is b, or b t where each frame is
a clip of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from inspect import signature
from math import ceil, floor, isfinite, isqrt, prod, sqrt
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange, reduce, repeat
from jaxtyping import Array, Float, Int, UInt8

from timesformer_ref.config import TimeSformerConfig as Config
from timesformer_ref.schemes import SCHEMES, STEPS, Grid, step_prefix
from timesformer_ref.weights import Start, weight_table

NAME = "JAX"
ATTENTION_TYPES = tuple(SCHEMES)
STATIC_SHAPES = True

Tree = dict[str, Any]  # weights, nested by the dots in their names
Video = Float[Array, "b t c H W"]
Frames = Float[Array, "b t 1+n d"]
Tokens = Float[Array, "b2 s d"]
Logits = Float[Array, "b labels"]

einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


# Weights: names to a tree and back


def load(weights: Mapping[str, np.ndarray], config: Config) -> Tree:
    """The weights as a tree on the device, those of all blocks stacked along a new first axis.

    `blocks.0.attn.qkv.weight`, `blocks.1.…` become `tree["blocks"]["attn"]["qkv"]["weight"]`.
    """
    tree: Tree = {}
    for name, weight in weights.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = weight
    blocks = [tree["blocks"][str(i)] for i in range(config.num_hidden_layers)]
    tree["blocks"] = jax.tree.map(lambda *layers: np.stack(layers), *blocks)
    return jax.tree.map(lambda w: jnp.array(w, jnp.float32), tree)  # copies; asarray may not


def block_weights(weights: Tree, layer: int | Int[Array, ""]) -> Tree:
    """The weights of one block, cut out of the stack."""
    return jax.tree.map(lambda stacked: stacked[layer], weights["blocks"])


def by_name(tree: Tree, config: Config) -> dict[str, np.ndarray]:
    """The inverse of `load`: a flat mapping from the original's names."""
    tree = jax.device_get(tree)
    blocks = {str(i): block_weights(tree, i) for i in range(config.num_hidden_layers)}
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree | {"blocks": blocks})
    return {".".join(part.key for part in path): np.array(leaf) for path, leaf in leaves}


# Layers


def linear(x: Float[Array, "*batch i"], w: Tree) -> Float[Array, "*batch o"]:
    """The product with `weight` (o i) transposed, plus `bias` (o) where there is one."""
    y = einsum("...i,oi->...o", x, w["weight"])
    return y + w["bias"] if "bias" in w else y


def layer_norm(x: Float[Array, "*batch d"], w: Tree, eps: float) -> Float[Array, "*batch d"]:
    """Normalise each token to mean 0 and variance 1 (biased), then scale and shift it.

    In two passes: mean(x²) - mean(x)² cancels where a token varies little about a large mean.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + eps) * w["weight"] + w["bias"]


def self_attention(x: Float[Array, "g m d"], w: Tree, heads: int) -> Float[Array, "g m d"]:
    """Let the tokens of each group attend to each other (paper, eqs. 2 to 8; original `Attention`).

    x: g groups of m tokens of width d. `w` holds `qkv` and `proj`.
    """
    qkv = linear(x, w["qkv"])
    q, k, v = rearrange(qkv, "g m (three a k) -> three g a m k", three=3, a=heads)
    attention = jax.nn.softmax(einsum("gaik,gajk->gaij", q, k) / sqrt(q.shape[-1]))
    mixed = einsum("gaij,gajk->gaik", attention, v)
    return linear(rearrange(mixed, "g a m k -> g m (a k)"), w["proj"])


def nearest(size: int, new_size: int) -> Int[np.ndarray, " new_size"]:
    """The source index of each place when `size` places are resized to `new_size`, nearest.

    In float32 as in the original (PyTorch's `interpolate`), whose rounding is part of the model:
    26 places resized to 22 take index 12, not 13, for place 11.
    """
    ratio = np.float32(size) / np.float32(new_size)
    source = np.floor(np.arange(new_size, dtype=np.float32) * ratio).astype(int)
    return np.minimum(source, size - 1)


# Frames to tokens


def embed_patches(video: Video, weights: Tree, config: Config) -> Frames:
    """Every frame as a sequence: class token, patches row by row, each with its position added.

    Pixels beyond the last whole patch are dropped (paper, eq. 1; original `PatchEmbed` and
    `forward_features`). Raises ValueError for a clip that the model cannot take.
    """
    if not jnp.issubdtype(video.dtype, jnp.floating):
        raise ValueError(f"the video holds {video.dtype}, expected normalised floating point")
    t, h, w = config.clip_grid(video.shape)
    p, proj, table = config.patch_size, weights["patch_embed"]["proj"], weights["pos_embed"]
    whole = video[..., : h * p, : w * p]
    pixels = rearrange(whole, "b t c (h p) (w q) -> b t (h w) c p q", p=p, q=p)
    patches = einsum("btncpq,dcpq->btnd", pixels, proj["weight"]) + proj["bias"]
    class_tokens = repeat(weights["cls_token"], "1 1 d -> b t 1 d", b=len(video), t=t)
    tokens = jnp.concatenate([class_tokens, patches], axis=2)
    return tokens + table[0, positions(table.shape[1], h, w)]


def positions(places: int, h: int, w: int) -> Int[np.ndarray, " 1+{h}*{w}"]:
    """Which of a table's places the class token and an h x w grid of patches take.

    A table for another number of patches is resized, nearest, as the square grid it was trained as.
    Only the count is compared: 2 x 8 patches use a 4 x 4 table as it is (original
    `forward_features`).
    """
    patches = places - 1
    if patches == h * w:
        return np.arange(places)
    side = isqrt(patches)
    grid = 1 + side * nearest(side, h)[:, None] + nearest(side, w)
    return np.concatenate([[0], rearrange(grid, "h w -> (h w)")])


def embed_time(frames: Frames, weights: Tree, config: Config) -> Tokens:
    """Frames to one sequence per clip, class token first and time fastest, each frame's time added.

    A table for another number of frames is resized, nearest. The class token, the same in every
    frame, gets no time. If no tokens attend across frames, each frame stays a clip of its own.
    (Paper, eq. 1; original `forward_features`.)
    """
    if config.separate_frames:
        return rearrange(frames, "b t s d -> (b t) s d")
    class_token, patches, table = frames[:, 0, :1], frames[:, :, 1:], weights["time_embed"]
    time = table[0, nearest(table.shape[1], frames.shape[1])]
    patches = rearrange(patches, "b t n d -> b n t d") + time
    return jnp.concatenate([class_token, rearrange(patches, "b n t d -> b (n t) d")], axis=1)


# Tokens to tokens; `w` is one block's weights


def attend(tokens: Tokens, w: Tree, config: Config, grid: Grid, step: str) -> Tokens:
    """The tokens after one attention step and its residual."""
    run = last_step if step == config.steps[-1] else earlier_step
    return run(tokens, w, config, grid, step)


def earlier_step(tokens: Tokens, w: Tree, config: Config, grid: Grid, step: str) -> Tokens:
    """A step before the last: patches attend to their group, the class token takes no part.

    The result passes one more linear layer before it is added (paper, eq. 11, but without the class
    token and with that layer; original `Block`).
    """
    rule, lengths = STEPS[step], STEPS[step].lengths(len(tokens), grid)
    prefix = step_prefix(config.attention_type, step)
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    normed = layer_norm(groups, w[f"{prefix}norm1"], config.layer_norm_eps)
    update = self_attention(normed, w[f"{prefix}attn"], config.num_attention_heads)
    update = rearrange(linear(update, w[f"{prefix}fc"]), rule.ungroup, **lengths)
    return jnp.concatenate([class_token, patches + update], axis=1)


def last_step(tokens: Tokens, w: Tree, config: Config, grid: Grid, step: str) -> Tokens:
    """The scheme's last step: every group gets a copy of the class token, in its first place.

    What the copies have learnt is averaged over the groups (paper, eq. 6 where the step is spatial;
    original `Block`).
    """
    rule, lengths = STEPS[step], STEPS[step].lengths(len(tokens), grid)
    groups = rearrange(tokens[:, 1:], rule.group, **lengths)
    copies = repeat(tokens[:, :1], "b 1 d -> (b g) 1 d", g=len(groups) // len(tokens))
    groups = jnp.concatenate([copies, groups], axis=1)
    normed = layer_norm(groups, w["norm1"], config.layer_norm_eps)
    update = self_attention(normed, w["attn"], config.num_attention_heads)
    class_update = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", b=len(tokens))
    patch_update = rearrange(update[:, 1:], rule.ungroup, **lengths)
    return tokens + jnp.concatenate([class_update, patch_update], axis=1)


def feed_forward(tokens: Tokens, w: Tree, config: Config) -> Tokens:
    """The tokens after the MLP and its residual (paper, eq. 9; original `Mlp`).

    GELU is the exact one; JAX's default is the approximation by tanh.
    """
    normed = layer_norm(tokens, w["norm2"], config.layer_norm_eps)
    hidden = jax.nn.gelu(linear(normed, w["mlp"]["fc1"]), approximate=False)
    return tokens + linear(hidden, w["mlp"]["fc2"])


def run_block(tokens: Tokens, w: Tree, config: Config, grid: Grid) -> Tokens:
    """The tokens after a whole block: its attention steps in order, then the MLP."""
    for step in config.steps:
        tokens = attend(tokens, w, config, grid, step)
    return feed_forward(tokens, w, config)


# Tokens to classes


def classify(tokens: Tokens, weights: Tree, config: Config, grid: Grid) -> Logits:
    """The last LayerNorm and one linear layer, on the class token (paper, eq. 10).

    Where each frame was a clip of its own, the frames are averaged first.
    """
    frames = grid[0] if config.separate_frames else 1
    class_token = reduce(tokens[:, 0], "(b t) d -> b d", "mean", t=frames)
    return linear(layer_norm(class_token, weights["norm"], config.layer_norm_eps), weights["head"])


def logits(video: Video, weights: Tree, config: Config) -> Logits:
    """Classify a batch of normalised clips (paper, section 3; original `VisionTransformer`)."""
    grid = config.clip_grid(video.shape)
    tokens = embed_time(embed_patches(video, weights, config), weights, config)
    tokens, _ = jax.lax.scan(
        lambda tokens, w: (run_block(tokens, w, config, grid), None), tokens, weights["blocks"]
    )
    return classify(tokens, weights, config, grid)


def loss(weights: Tree, video: Video, labels: Int[Array, " b"], config: Config) -> Array:
    """Cross-entropy: the mean of -log softmax(logits)[label] over the batch."""
    scores = jax.nn.log_softmax(logits(video, weights, config))
    return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()


# Fresh weights


def initial_weights(config: Config, seed: int) -> dict[str, np.ndarray]:
    """Weights distributed as the original's (`VisionTransformer.__init__`), by name.

    All weights that start alike are cut from one draw: JAX compiles a draw for each of its sizes.
    """
    table = weight_table(config)
    bound = prod(table["patch_embed.proj.weight"].shape[1:]) ** -0.5
    weights: dict[str, np.ndarray] = {}
    for start, key in zip(get_args(Start), jax.random.split(jax.random.key(seed), 4), strict=True):
        names = [name for name, weight in table.items() if weight.start == start]
        ends = np.cumsum([prod(table[name].shape) for name in names])
        pieces = np.split(np.array(draw(start, key, int(ends[-1]), bound)), ends[:-1])
        weights |= {n: x.reshape(table[n].shape) for n, x in zip(names, pieces, strict=True)}
    return {name: weights[name] for name in table}


@partial(jax.jit, static_argnames=("start", "count"))
def draw(start: Start, key: Array, count: int, bound: float) -> Float[Array, " count"]:
    """Initial values; `bound` is that of the uniform ones, 1 / sqrt(inputs of one output).

    The normal ones are cut at an absolute 2, not, as by JAX's initialiser, at 2 deviations.
    """
    match start:
        case "normal":
            return (0.02 * jax.random.normal(key, (count,), jnp.float32)).clip(-2, 2)
        case "fan_in":
            return jax.random.uniform(key, (count,), jnp.float32, -bound, bound)
        case _:
            return jnp.full(count, start == "ones", jnp.float32)


# Videos to clips


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a · b + c, rounded to float32 once: the fused multiply-add that PyTorch is compiled to.

    In float64 the product of two float32 numbers is exact. Rounded after it too, one clip in some
    thousands would get another frame.
    """
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def frame_indices(
    total: int, fps: float, num_frames: int, sampling_rate: int, clip: int = 0, num_clips: int = 1
) -> Int[np.ndarray, " t"]:
    """`num_frames` evenly spaced frames of clip number `clip` (original `datasets/decoder.py`).

    A clip spans `num_frames * sampling_rate` frames of a video at 30 per second. The first of
    `num_clips` starts at frame 0; a video that is too short repeats its last frame.
    The spacing is PyTorch's `linspace` in float32: each half is counted from its own end.
    """
    if min(total, num_frames, sampling_rate) < 1 or not (isfinite(fps) and fps > 0):
        raise ValueError(f"no clip of {num_frames} frames from {total} at {fps} per second")
    if not 0 <= clip < num_clips:
        raise ValueError(f"clip {clip} is not one of {num_clips}: use 0 to {num_clips - 1}")
    span = sampling_rate * num_frames / 30 * fps
    start = max(total - span, 0) * clip / num_clips
    first, last = np.float32(start), np.float32(start + span - 1)
    spacing = (last - first) / np.float32(max(num_frames - 1, 1))
    i = np.arange(num_frames)
    early = i < max(num_frames // 2, 1)
    steps, origin = np.where(early, i, i - (num_frames - 1)), np.where(early, first, last)
    return multiply_add(spacing, steps, origin).clip(0, np.float32(total - 1)).astype(np.int64)


def segment_indices(total: int, num_frames: int) -> Int[np.ndarray, " t"]:
    """The middle frame of each of `num_frames` equal segments (original `datasets/ssv2.py`, test).

    Bounds are rounded half to even, the middle is rounded down.
    """
    if min(total, num_frames) < 1:
        raise ValueError(f"no {num_frames} segments of {total} frames: use numbers above 0")
    bounds = np.rint((total - 1) / num_frames * np.arange(num_frames + 1)).astype(np.int64)
    return (bounds[:-1] + bounds[1:]) // 2


def three_views(
    frames: UInt8[Array, "t H W c"], scale: int, crop: int
) -> Float[Array, "v t c crop crop"]:
    """Square views of normalised frames (original `spatial_sampling`).

    The shorter side is resized to `scale`, the longer in proportion, rounded down; the views lie at
    the start, the middle and the end of the longer.
    """
    if scale < crop:
        raise ValueError(f"a crop of {crop} does not fit in frames whose shorter side is {scale}")
    pixels = rearrange(frames, "t H W c -> t c H W").astype(jnp.float32)
    pixels = (pixels / 255 - 0.45) / 0.225
    sides = frames.shape[1:3]
    short = min(sides)
    H, W = (side if short == scale else floor(side / short * scale) for side in sides)
    pixels = stretch(stretch(pixels, W).mT, H).mT
    down, right = H - crop, W - crop
    y, x = ceil(down / 2), ceil(right / 2)
    ends = [(0, x), (down, x)] if H > W else [(y, 0), (y, right)]
    corners = [ends[0], (y, x), ends[1]]
    return jnp.stack([pixels[..., y : y + crop, x : x + crop] for y, x in corners])


def stretch(rows: Float[Array, "*batch size"], new_size: int) -> Float[Array, "*batch new_size"]:
    """Rows resized, bilinear without antialiasing: each number lies between two of the old ones.

    Where it lies is told in PyTorch's float32. `jax.image.resize` rounds otherwise: at some sizes
    of large frames its pixels differ in the fourth digit.
    """
    size = rows.shape[-1]
    ratio = np.float32(size) / np.float32(new_size)
    place = multiply_add(np.arange(new_size) + 0.5, ratio, -0.5).clip(0)
    left = np.minimum(place.astype(int), size - 1)
    share = place - left.astype(np.float32)
    return rows[..., left] * (1 - share) + rows[..., np.minimum(left + 1, size - 1)] * share


# The port interface


def compiled(function: Callable[..., Array]) -> Callable[..., np.ndarray]:
    """The function, compiled once per set of shapes and settings, with NumPy arrays as its result.

    Weights and `layer` are arguments like any other: with others, nothing is compiled anew.
    """
    settings = {"config", "grid", "step", "scale", "crop"} & signature(function).parameters.keys()
    fast = jax.jit(function, static_argnames=sorted(settings))

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> np.ndarray:
        return np.array(fast(*args, **kwargs))

    return call


patchify = compiled(embed_patches)
time_embedding = compiled(embed_time)
classifier = compiled(classify)
forward = compiled(logits)
crops = compiled(three_views)


@compiled
def attention_step(
    tokens: Tokens, weights: Tree, config: Config, layer: int, grid: Grid, step: str
) -> Tokens:
    return attend(tokens, block_weights(weights, layer), config, grid, step)


@compiled
def mlp(tokens: Tokens, weights: Tree, config: Config, layer: int) -> Tokens:
    return feed_forward(tokens, block_weights(weights, layer), config)


@compiled
def block(tokens: Tokens, weights: Tree, config: Config, layer: int, grid: Grid) -> Tokens:
    return run_block(tokens, block_weights(weights, layer), config, grid)


loss_and_gradients = jax.jit(jax.value_and_grad(loss), static_argnames="config")


def gradients(
    video: np.ndarray, labels: np.ndarray, weights: Tree, config: Config
) -> tuple[float, dict[str, np.ndarray]]:
    """The training loss of a batch, and its gradient by weight name.

    Compiled code cannot refuse a number: a label that is no class would give NaN, or, below 0,
    the gradient of another class.
    """
    labels = np.asarray(labels)
    if labels.shape != (len(video),) or labels.min() < 0 or labels.max() >= config.num_labels:
        raise ValueError(f"labels {labels}: expected {len(video)} below {config.num_labels}")
    value, tree = loss_and_gradients(weights, video, labels, config)
    return float(value), by_name(tree, config)
