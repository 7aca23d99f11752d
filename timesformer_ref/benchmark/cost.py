"""The cost of a model: multiply-adds by part, predicted from the step table (paper, figure 3)."""

from collections import Counter
from math import prod

import numpy as np
from einops import rearrange

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import STEPS, Grid


def group_shape(step: str, grid: Grid) -> tuple[int, int]:
    """The number of groups that a step makes of a clip's patches, and of patches in a group."""
    patches = np.empty((1, prod(grid), 1))
    groups, members, _ = rearrange(patches, STEPS[step].group, **STEPS[step].lengths(1, grid)).shape
    return groups, members


def comparisons(config: TimeSformerConfig, grid: Grid | None = None) -> int:
    """The number of tokens to which a patch attends in one block, the class token included.

    N F + 1 for joint attention, N + F + 1 for divided: the paper's N + F + 2 has the class token in
    the temporal step as well, the original's code has not.
    """
    return sum(group_shape(step, grid or config.grid)[1] for step in config.steps) + 1


def linear_layers(
    config: TimeSformerConfig, grid: Grid | None = None
) -> list[tuple[str, int, int, int]]:
    """Part, rows, inputs and outputs of every product with weights, as the original has them.

    For the arguments and the parts see `multiply_adds`.
    """
    grid = grid or config.grid
    d, hidden, patches = config.hidden_size, config.intermediate_size, prod(grid)
    block = []
    for step in config.steps:
        groups, members = group_shape(step, grid)
        last = step == config.steps[-1]
        rows = groups * (members + last)
        block += [(step, rows, d, 3 * d), (step, rows, d, d)]
        block += [] if last else [(step, patches, d, d)]
    tokens = patches + (grid[0] if config.separate_frames else 1)
    block += [("mlp", tokens, d, hidden), ("mlp", tokens, hidden, d)]
    pixels = config.num_channels * config.patch_size**2
    return [
        ("patchify", patches, pixels, d),
        *block * config.num_hidden_layers,
        ("classifier", 1, d, config.num_labels),
    ]


def multiply_adds(config: TimeSformerConfig, grid: Grid | None = None) -> dict[str, int]:
    """Multiply-adds of one clip by part: `patchify`, each step by name, `mlp`, `classifier`.

    grid: the clip's frames, rows and columns, by default those of training. The paper, like most,
    writes FLOPs for multiply-adds; a processor does two operations for each. Norms, softmax and
    additions are left out: less than a hundredth.
    """
    grid = grid or config.grid
    cost: Counter[str] = Counter()
    for part, rows, inputs, outputs in linear_layers(config, grid):
        cost[part] += rows * inputs * outputs
    for step in config.steps:
        groups, members = group_shape(step, grid)
        tokens = members + (step == config.steps[-1])
        cost[step] += config.num_hidden_layers * 2 * groups * tokens**2 * config.hidden_size
    return dict(cost)
