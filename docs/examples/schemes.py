"""What one patch attends to in each step, on a clip of 2 frames of 4 x 4 patches."""

from __future__ import annotations

import numpy as np
from einops import rearrange

from timesformer_ref.schemes import STEPS

GRID = T, H, W = 2, 4, 4
FRAME, ROW, COLUMN = 0, 1, 2

numbers = np.arange(1, 1 + T * H * W)  # of the patches in the sequence; 0 is the class token
clip: np.ndarray = rearrange(numbers, "(h w t) -> t h w", t=T, h=H)
patch = clip[FRAME, ROW, COLUMN]
print(f"Frame {FRAME}, row {ROW}, column {COLUMN} is token {patch}.")

for name, step in STEPS.items():
    groups = rearrange(numbers[None, :, None], step.group, **step.lengths(1, GRID))[..., 0]
    (members,) = groups[(groups == patch).any(axis=1)]
    print(f"\n{name}: {groups.shape[0]} x {groups.shape[1]}")
    for row in rearrange(clip, "t h w -> h t w"):
        print(
            "   ".join("".join(f"{n:3}" if n in members else "  ." for n in part) for part in row)
        )
