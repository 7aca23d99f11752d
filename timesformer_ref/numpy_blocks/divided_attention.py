"""A block of any scheme (the published one names the file): attention steps, then an MLP."""

from __future__ import annotations

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
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig, grid: Grid, step: str
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """A step that is not its scheme's last: patches look at their group, the class token waits.

    The result passes one more linear layer, `STEP_fc`, before it is added (paper, eq. 11, but
    without the class token and with that layer; original `Block`).
    """
    rule, lengths = STEPS[step], STEPS[step].lengths(len(tokens), grid)
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    normed = layer_norm(groups, part(w, f"{step}_norm1"), config.layer_norm_eps)
    update, attention = self_attention(normed, part(w, f"{step}_attn"), config.num_attention_heads)
    update = rearrange(linear(update, part(w, f"{step}_fc")), rule.ungroup, **lengths)
    return np.concatenate([class_token, patches + update], axis=1), attention


def last_step(
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig, grid: Grid, step: str
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """The scheme's last step: every group gets a copy of the class token, in its first place.

    What the copies have learnt is averaged over the groups (paper, eq. 6 where the step is spatial;
    original `Block`).
    """
    rule, lengths = STEPS[step], STEPS[step].lengths(len(tokens), grid)
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=len(groups) // len(tokens))
    groups = np.concatenate([copies, groups], axis=1)
    normed = layer_norm(groups, part(w, "norm1"), config.layer_norm_eps)
    update, attention = self_attention(normed, part(w, "attn"), config.num_attention_heads)
    class_update = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", b=len(tokens))
    patch_update = rearrange(update[:, 1:], rule.ungroup, **lengths)
    return tokens + np.concatenate([class_update, patch_update], axis=1), attention


def attention_step(
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig, grid: Grid, step: str
) -> tuple[Float[Array, "b s d"], Float[Array, "g a m m"]]:
    """The tokens after one step and its residual, and the step's attention weights.

    tokens: class token first, then the patches with time fastest. `w` is the block's part of the
    weights, `grid` the clip's frames, rows and columns (einops finds the frames from the tokens, so
    they are not asked), `step` a name from the step table.
    """
    run = last_step if step == config.steps[-1] else earlier_step
    return run(tokens, w, config, grid, step)


def feed_forward(
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig
) -> Float[Array, "b s d"]:
    """The tokens after the MLP and its residual (paper, eq. 9; original `Block`)."""
    normed = layer_norm(tokens, part(w, "norm2"), config.layer_norm_eps)
    return tokens + mlp(normed, part(w, "mlp"))


def block(
    tokens: Float[Array, "b s d"], w: Weights, config: TimeSformerConfig, grid: Grid
) -> tuple[Float[Array, "b s d"], dict[str, Float[Array, "g a m m"]]]:
    """The tokens after a whole block, and the attention weights of each of its steps."""
    attentions = {}
    for step in config.steps:
        tokens, attentions[step] = attention_step(tokens, w, config, grid, step)
    return feed_forward(tokens, w, config), attentions
