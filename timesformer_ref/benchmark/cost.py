"""The cost of a model: multiply-adds by part, predicted from the step table (paper, figure 3)."""

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


def multiply_adds(config: TimeSformerConfig, grid: Grid | None = None) -> dict[str, int]:
    """Multiply-adds of one clip by part: `patchify`, each step by name, `mlp`, `classifier`.

    grid: the clip's frames, rows and columns, by default those of training. The paper, like most,
    writes FLOPs for multiply-adds; a processor does two operations for each. Norms, softmax and
    additions are left out: less than a hundredth.
    """
    grid = grid or config.grid
    d, depth, patches = config.hidden_size, config.num_hidden_layers, prod(grid)
    cost = {"patchify": patches * config.num_channels * config.patch_size**2 * d}
    for step in config.steps:
        groups, members = group_shape(step, grid)
        last = step == config.steps[-1]
        tokens = members + last
        layers = (groups * tokens * 4 + (0 if last else patches)) * d * d
        cost[step] = depth * (layers + 2 * groups * tokens**2 * d)
    tokens = patches + (grid[0] if config.separate_frames else 1)
    cost["mlp"] = depth * tokens * 2 * d * config.intermediate_size
    return cost | {"classifier": d * config.num_labels}
