"""Training from zero: how much the temporal steps add, and how the loss falls."""

from __future__ import annotations

from math import log

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from docs.camera_motion.model import CONFIG
from docs.making.figures.palette import FIRST, PATCH, SECOND
from docs.making.waking import read, smooth

BLOCKS = FIRST, SECOND, "#0e7490"
STARTS = {"zero": "#1f2328", "random": PATCH}


@mpl.rc_context({"font.size": 13})
def draw_waking() -> Figure:
    """What the temporal step of each block adds, from zero on; below, the loss of both starts."""
    found = read()
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(6.4, 6.4))
    steps = [int(step) for step in found["zero"]["shares"]]
    for block, added in enumerate(zip(*found["zero"]["shares"].values(), strict=True)):
        above.plot(steps, added, color=BLOCKS[block], lw=2, label=f"block {block}")
    for start, colour in STARTS.items():
        losses = smooth(found[start]["losses"])
        below.plot(*zip(*losses, strict=True), color=colour, lw=2, label=f"from {start}")
    below.axhline(log(CONFIG.num_labels), color=PATCH, linestyle=":")
    below.text(
        steps[-1], log(CONFIG.num_labels), f"ln {CONFIG.num_labels}", ha="right", va="bottom"
    )
    above.set(ylabel="added, relative to the patches", ylim=(0, None))
    below.set(xlabel="steps", ylabel="loss", xlim=(0, None))
    for axis in (above, below):
        axis.grid(color="#8888", lw=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    figure.tight_layout()
    return figure
