"""The data of the explorer, from the step table: what attends to what, and what it costs."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange

from docs.making.names import NAMES
from timesformer_ref.benchmark.cost import group_shape
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES, STEPS, Grid

GRID: Grid = (4, 4, 4)
"""The clip of the page: frames, rows and columns of patches."""

START = (1, 1, 2)
"""The patch that is chosen first."""

GROUPS = {
    "spatial": "its frame",
    "joint": "the whole clip",
    "temporal": "its place in every frame",
    "width": "its row of its frame",
    "height": "its column of its frame",
    "local": "its quarter of every frame",
    "global": "every second patch in time, height and width",
}
"""Each step's group of a patch, in words."""


def write_explorer(file: Path) -> None:
    """Write the data as JSON; the page takes it in as a snippet."""
    file.write_text(json.dumps(explorer_data(), separators=(",", ":")), encoding="utf-8")


def explorer_data() -> dict[str, Any]:
    """All that the page shows. Token 0 is the class token; patches follow frame by frame."""
    return {
        "grid": GRID,
        "start": 1 + int(np.ravel_multi_index(START, GRID)),
        "schemes": {scheme: scheme_data(scheme) for scheme in SCHEMES},
    }


def scheme_data(scheme: str) -> dict[str, Any]:
    """One scheme: its name, its steps, which tokens reach each token in a block, the cost.

    Where each frame has a class token of its own, the page's one stands for all of them.
    """
    separate_frames = TimeSformerConfig(attention_type=scheme).separate_frames
    return {
        "title": NAMES[scheme],
        "class_tokens": GRID[0] if separate_frames else 1,
        "steps": [step_data(scheme, step) for step in SCHEMES[scheme]],
        "reaches": ["".join(map(str, row)) for row in reaches(scheme).astype(int)],
        "comparisons": {
            " × ".join(map(str, grid)): block_comparisons(scheme, grid)
            for grid in (GRID, TimeSformerConfig().grid)
        },
    }


def step_data(scheme: str, step: str) -> dict[str, Any]:
    """One step: every patch's group, and what it does in words."""
    last = step == SCHEMES[scheme][-1]
    return {
        "name": step,
        "groups": [None, *map(int, patch_groups(step))],
        "class_token": last,
        "patch_words": patch_words(step, last),
        "class_token_words": class_token_words(scheme, step, last),
    }


def patch_groups(step: str, grid: Grid = GRID) -> np.ndarray:
    """The number of each patch's group."""
    numbers = rearrange(np.arange(prod(grid)).reshape(grid), "t h w -> 1 (h w t) 1")
    groups = rearrange(numbers, STEPS[step].group, **STEPS[step].lengths(1, grid))[..., 0]
    found = np.empty(prod(grid), int)
    found[groups] = np.arange(len(groups))[:, np.newaxis]
    return found


def attends(scheme: str, step: str) -> np.ndarray:
    """Which token (row) attends to which (column) in a step, true or false."""
    group = patch_groups(step)
    attended = np.eye(1 + len(group), dtype=bool)
    attended[1:, 1:] = group[:, np.newaxis] == group
    if step == SCHEMES[scheme][-1]:
        attended[0, :] = attended[:, 0] = True
    return attended


def reaches(scheme: str) -> np.ndarray:
    """Which token (row) may hold information from which (column) after a block, true or false."""
    reach = np.eye(1 + prod(GRID), dtype=bool)
    for step in SCHEMES[scheme]:
        reach = attends(scheme, step) @ reach
    return reach


def block_comparisons(scheme: str, grid: Grid) -> list[dict[str, int]]:
    """How many comparisons each step makes, and all of a block's steps together."""
    steps = [step_comparisons(step, step == SCHEMES[scheme][-1], grid) for step in SCHEMES[scheme]]
    return [*steps, {who: sum(step[who] for step in steps) for who in steps[0]}]


def step_comparisons(step: str, last: bool, grid: Grid) -> dict[str, int]:
    """How many comparisons a step makes: for a patch, for the class token's copies, for all."""
    groups, members = group_shape(step, grid)
    tokens = members + last
    return {
        "patch": tokens,
        "class_token": groups * tokens * last,
        "all": groups * tokens**2,
    }


def patch_words(step: str, last: bool) -> str:
    """What a patch attends to in a step, in words."""
    _, members = group_shape(step, GRID)
    patches = f"attends to {GROUPS[step]}: {members} patches"
    return f"{patches}, and to the class token" if last else patches


def class_token_words(scheme: str, step: str, last: bool) -> str:
    """What the class token attends to in a step, in words."""
    groups, members = group_shape(step, GRID)
    if not last:
        return "takes no part"
    if groups == 1:
        return f"attends to {GROUPS[step]}: {members} patches"
    if TimeSformerConfig(attention_type=scheme).separate_frames:
        return f"one per frame, which attends to its frame: {members} patches"
    return (
        f"has a copy in each of {groups} groups, which attends to its {members} patches;"
        " the copies' results are averaged"
    )
