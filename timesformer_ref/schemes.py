"""The attention schemes: which patch tokens attend to each other, as one table.

A scheme is a list of steps; a step is a grouping, an einops pattern. NumPy, PyTorch, the readers of
checkpoints, the figures and the tests read these two tables, and nothing else decides a scheme.
"""

import re
from dataclasses import dataclass, field
from math import prod

Grid = tuple[int, int, int]
"""Frames, rows and columns of a clip's patches: (t, h, w)."""


@dataclass(frozen=True)
class Step:
    """A grouping of patch tokens: the tokens of one group attend to each other.

    group: the einops pattern from patches as they lie between blocks (row by row, time fastest) to
        groups.
    splits: into how many pieces an axis is cut; the name of a cut ends in the axis that it cuts.
    """

    group: str
    splits: dict[str, int] = field(default_factory=dict)

    @property
    def ungroup(self) -> str:
        """The pattern that puts the tokens of all groups back in sequence."""
        sequence, groups = self.group.split(" -> ")
        return f"{groups} -> {sequence}"

    @property
    def within_frame(self) -> bool:
        """Whether every group lies in a single frame, so that groups differ in t."""
        return re.search(r"-> \([^)]*\bt\b", self.group) is not None

    @property
    def pieces(self) -> Grid:
        """Into how many pieces the step cuts frames, rows and columns."""
        t, h, w = (
            prod([n for name, n in self.splits.items() if name[-1] == axis]) for axis in "thw"
        )
        return t, h, w

    def lengths(self, b: int, grid: Grid) -> dict[str, int]:
        """The lengths that einops needs for the two patterns; t it finds from the tokens."""
        _, cut_h, cut_w = self.pieces
        return {"b": b, "h": grid[1] // cut_h, "w": grid[2] // cut_w} | self.splits


STEPS: dict[str, Step] = {
    "spatial": Step("b (h w t) d -> (b t) (h w) d"),
    "joint": Step("b (h w t) d -> (b) (h w t) d"),
    "temporal": Step("b (h w t) d -> (b h w) t d"),
    "width": Step("b (h w t) d -> (b t h) w d"),
    "height": Step("b (h w t) d -> (b t w) h d"),
    "local": Step("b (wh h ww w t) d -> (b wh ww) (t h w) d", {"wh": 2, "ww": 2}),
    "global": Step("b (h sh w sw t st) d -> (b st sh sw) (t h w) d", {"st": 2, "sh": 2, "sw": 2}),
}
"""Every attention step by name: which patches form a group (paper, section 3 and figure 2)."""

SCHEMES: dict[str, tuple[str, ...]] = {
    "space_only": ("spatial",),
    "joint_space_time": ("joint",),
    "divided_space_time": ("temporal", "spatial"),
    "sparse_local_global": ("local", "global"),
    "axial": ("temporal", "width", "height"),
}
"""The steps of a block, in order, by `attention_type` (paper, figure 1). The class token takes part
in the last step only."""


def step_prefix(attention_type: str, step: str) -> str:
    """What precedes the names of a step's weights: nothing for the last step, else `STEP_`."""
    return "" if step == SCHEMES[attention_type][-1] else f"{step}_"
