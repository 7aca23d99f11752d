"""Attention rollout (Abnar and Zuidema 2020): attention followed through all blocks.

Each step's attention weights, averaged over heads, give a token's next state as a mixture of its
group; half of the mixture is the token's own state, for the residual. The product of these mixtures
over all steps of all blocks is each patch's share in the class token's last state.

Only the class token is classified, so only its row of the product is computed, from the last step
back to the first: one share per token, regrouped by the step table as the tokens themselves are.

Rollout leaves out how large the values are, what the projections, `STEP_fc`, norms and MLPs do to
them, and whether a patch speaks for a class or against it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from einops import rearrange, reduce, repeat
from jaxtyping import Float

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import STEPS, Grid

Array = np.ndarray
Attentions = Sequence[Mapping[str, Float[Array, "g a m m"]]]


def rollout(
    attentions: Attentions, config: TimeSformerConfig, grid: Grid
) -> Float[Array, "b t h w"]:
    """Each patch's share in the class token's last state, for a batch of clips.

    attentions: for each block, the weights of each step by name, as a model returns them with
        `output_attentions`.
    grid: frames, rows and columns of the clips.
    A clip's shares sum to 1 less the share of the class token's own initial value.
    """
    t, h, w = grid
    clips = t if config.separate_frames else 1  # per video, averaged after the blocks
    patches = t * h * w // clips
    last = attentions[-1][config.steps[-1]]
    batch = last.shape[0] * (last.shape[-1] - 1) // patches
    shares = np.zeros((batch, 1 + patches, 1), last.dtype)
    shares[:, 0] = 1 / clips
    for block in reversed(attentions):
        for step in reversed(config.steps):
            is_last = step == config.steps[-1]
            shares = step_back(shares, block[step].mean(axis=1), grid, step, is_last)
    by_place = rearrange(shares[:, 1:], "b (h w t) 1 -> b t h w", h=h, w=w)
    return rearrange(by_place, "(b clips) t h w -> b (clips t) h w", clips=clips)


def step_back(
    shares: Float[Array, "b s 1"],
    attention: Float[Array, "g m m"],
    grid: Grid,
    step: str,
    last: bool,
) -> Float[Array, "b s 1"]:
    """The shares of the tokens before a step from those after it, class token first.

    In a block's last step every group starts with a copy of the class token. The copies are
    averaged after it, so each has an equal part of the class token's share. In earlier steps the
    class token takes no part and keeps its own.
    """
    rule, lengths = STEPS[step], STEPS[step].lengths(len(shares), grid)
    class_share, groups = shares[:, :1], rearrange(shares[:, 1:], rule.group, **lengths)
    if last:
        per_clip = len(groups) // len(shares)
        copies = repeat(class_share / per_clip, "b 1 1 -> (b g) 1 1", g=per_clip)
        groups = np.concatenate([copies, groups], axis=1)
    passed = attention.mT @ groups
    if last:
        class_share = reduce(passed[:, :1], "(b g) 1 1 -> b 1 1", "sum", g=per_clip)
        passed = passed[:, 1:]
    patches = rearrange(passed, rule.ungroup, **lengths)
    return (shares + np.concatenate([class_share, patches], axis=1)) / 2


def frame_attention(
    attentions: Attentions, config: TimeSformerConfig, grid: Grid
) -> list[dict[str, Float[Array, "b t t"]]]:
    """How much a patch of one frame (row) attends to those of another (column), in single steps.

    For each block, the steps whose groups span frames, by name: none for space-only. Averaged over
    heads and over the patches of the row's frame. A row sums to 1, less what the class token gets
    in a scheme's last step. For the arguments see `rollout`.
    """
    across = [step for step in config.steps if not STEPS[step].within_frame]
    return [
        {step: _between_frames(block[step].mean(axis=1), config, grid, step) for step in across}
        for block in attentions
    ]


def _between_frames(
    attention: Float[Array, "g m m"], config: TimeSformerConfig, grid: Grid, step: str
) -> Float[Array, "b t t"]:
    if step == config.steps[-1]:
        attention = attention[:, 1:, 1:]  # the class token belongs to no frame
    t, h, w = grid
    b = attention.shape[0] * attention.shape[1] // (t * h * w)
    frame_of = repeat(np.eye(t, dtype=attention.dtype), "t f -> b (n t) f", b=b, n=h * w)
    groups = rearrange(frame_of, STEPS[step].group, **STEPS[step].lengths(b, grid))
    return reduce(groups.mT @ attention @ groups, "(b g) i j -> b i j", "sum", b=b) / (h * w)
