"""A block of any scheme: attention steps, then an MLP.

The published scheme, divided attention, names the file.
"""

import numpy as np
from einops import rearrange, reduce, repeat
from jaxtyping import Float

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import (
    Array,
    Weights,
    layer_norm,
    linear,
    mlp,
    self_attention,
)
from timesformer_ref.schemes import STEPS, Grid
from timesformer_ref.weights import part


def earlier_step(
    tokens: Float[Array, "b s d"],
    w: Weights,
    config: TimeSformerConfig,
    grid: Grid,
    step: str,
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """A step before its scheme's last, without the class token.

    Patches attend to their group. The result passes one more linear
    layer, `STEP_fc`, before it is added (paper, eq. 11, but without the
    class token and with that layer; original `Block`).
    """
    rule = STEPS[step]
    lengths = rule.lengths(len(tokens), grid)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    normed = layer_norm(groups, part(w, f"{step}_norm1"), eps)
    attn = part(w, f"{step}_attn")
    update, attention = self_attention(normed, attn, heads)
    update = linear(update, part(w, f"{step}_fc"))
    patches = patches + rearrange(update, rule.ungroup, **lengths)
    return np.concatenate([class_token, patches], axis=1), attention


def last_step(
    tokens: Float[Array, "b s d"],
    w: Weights,
    config: TimeSformerConfig,
    grid: Grid,
    step: str,
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """The scheme's last step, with the class token in every group.

    Every group gets a copy of the class token, and the copies' results
    are averaged over the groups (paper, eq. 6 where the step is
    spatial; original `Block`).
    """
    rule = STEPS[step]
    lengths = rule.lengths(len(tokens), grid)
    eps, heads = config.layer_norm_eps, config.num_attention_heads
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    per_clip = len(groups) // len(tokens)
    copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=per_clip)
    groups = np.concatenate([copies, groups], axis=1)
    normed = layer_norm(groups, part(w, "norm1"), eps)
    update, attention = self_attention(normed, part(w, "attn"), heads)
    copies, patches = update[:, :1], update[:, 1:]
    mean = reduce(copies, "(b g) 1 d -> b 1 d", "mean", g=per_clip)
    patches = rearrange(patches, rule.ungroup, **lengths)
    return tokens + np.concatenate([mean, patches], axis=1), attention


def attention_step(
    tokens: Float[Array, "b s d"],
    w: Weights,
    config: TimeSformerConfig,
    grid: Grid,
    step: str,
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """The tokens after a step and its residual, and its attention.

    tokens: class token first, then the patches with time fastest. `w`
    is the block's part of the weights, `grid` the clip's frames, rows
    and columns (einops finds the frames from the tokens), `step` a name
    from the step table. The attention weights are by group and head.
    """
    run = last_step if step == config.steps[-1] else earlier_step
    return run(tokens, w, config, grid, step)


def feed_forward(
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig
) -> Float[Array, "b s d"]:
    """The tokens after the MLP and its residual.

    (Paper, eq. 9; original `Block`.)
    """
    eps = config.layer_norm_eps
    normed = layer_norm(tokens, part(w, "norm2"), eps)
    return tokens + mlp(normed, part(w, "mlp"))


def block(
    tokens: Float[Array, "b s d"],
    w: Weights,
    config: TimeSformerConfig,
    grid: Grid,
) -> tuple[Float[Array, "b s d"], dict[str, Float[Array, "g a m m"]]]:
    """The tokens after a block, and each step's attention weights."""
    attentions = {}
    for step in config.steps:
        after = attention_step(tokens, w, config, grid, step)
        tokens, attentions[step] = after
    return feed_forward(tokens, w, config), attentions
