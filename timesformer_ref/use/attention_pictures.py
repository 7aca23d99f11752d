"""Attention as pictures: laid over the frames, summed by frame, and from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure, SubFigure

from timesformer_ref.atomic import whole_file
from timesformer_ref.use.attend import Look, check_target

Array = np.ndarray

HEAT = LinearSegmentedColormap.from_list("heat", ["#ffc00000", "#ff9a0080", "#d00000d9"])
"""From nothing at all to red: what has no more than an even share is seen as it is."""
ORANGE, ORANGES = "#c2410c", "Oranges"
WIDTH = 12.0
"""Of a picture, inches."""
MOST_BLOCKS = 4
"""Of how many blocks attention between frames is shown, at most."""
FRAMES_A_SECOND = 2
"""Of a film."""


def draw_attention(
    look: Look, frames: Float[Array, "t H W c"], numbers: Sequence[int], answer: str, target: Path
) -> None:
    """Write what a model looked at, as a picture (`.png`) or a film of the frames (`.gif`).

    frames: as `read_shown_frames` gives them; numbers: theirs in the video. answer: the best class.
    Raises ValueError for another ending, and for a folder; OSError where it cannot be written.
    """
    check_target(target)
    with whole_file(target) as unfinished:
        if target.suffix == ".gif":
            write_film(look, frames, numbers, answer, unfinished)
        else:
            picture(look, frames, numbers, answer).savefig(unfinished, dpi=100)


def picture(
    look: Look, frames: Float[Array, "t H W c"], numbers: Sequence[int], answer: str
) -> Figure:
    """All frames with what is looked at in them; below, the frames' shares, and frame by frame."""
    t, steps = len(frames), len(look.frames[0])
    columns = 16 if t > 32 else min(max(t, 4), 8)
    rows = ceil(t / columns)
    heights = [rows * (WIDTH / columns + 0.2), 1.2 + 1.8 * max(steps, 1)]
    figure = Figure((WIDTH, sum(heights) + 0.3), layout="constrained")
    figure.suptitle(
        f"What the class token looks at to answer: {answer}", parse_math=False, wrap=True
    )
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    axes = above.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    heat, scale = _heat(look)
    for axis, frame, frame_heat, number in zip(axes.flat, frames, heat, numbers, strict=False):
        _lay_over(axis, frame, frame_heat, scale)
        axis.set_title(f"frame {number}", fontsize="small")
    above.colorbar(ScalarMappable(scale, HEAT), ax=axes, label="times an even share", pad=0.01)
    if steps:
        across = 1.6 + 1.75 * min(len(look.frames), MOST_BLOCKS)
        ratios = [WIDTH - across, across]
        left, right = below.subfigures(1, 2, squeeze=False, width_ratios=ratios)[0]
        _draw_between_frames(right, look.frames, numbers)
    else:
        left = below
    _draw_shares(left.subplots(), look, numbers)
    return figure


def write_film(
    look: Look, frames: Float[Array, "t H W c"], numbers: Sequence[int], answer: str, path: Path
) -> None:
    """One frame after another with what is looked at in it."""
    figure = Figure((3.2, 3.6), layout="constrained")
    figure.suptitle(answer, parse_math=False, wrap=True)
    axis = figure.subplots()
    heat, scale = _heat(look)
    writer = PillowWriter(fps=FRAMES_A_SECOND)
    with writer.saving(figure, str(path), dpi=80):
        for frame, frame_heat, number, share in zip(
            frames, heat, numbers, look.frame_shares, strict=True
        ):
            axis.clear()
            axis.set_axis_off()
            _lay_over(axis, frame, frame_heat, scale)
            axis.set_title(
                f"frame {number}, {100 * share:.1f} % of the attention", fontsize="small"
            )
            writer.grab_frame()


def _heat(look: Look) -> tuple[Float[Array, "t h w"], Normalize]:
    """How many times its even share each patch has, and one scale of colours for all frames.

    The scale goes to 1.1 at least, so that nothing is made of a model that looks everywhere.
    """
    heat = look.patches / look.patches.mean()
    return heat, Normalize(1, max(heat.max(), 1.1))


def _lay_over(
    axis: Axes, frame: Float[Array, "H W c"], heat: Float[Array, "h w"], scale: Normalize
) -> None:
    whole = (0, 1, 0, 1)
    axis.imshow(frame.mean(axis=2), cmap="gray", vmin=0, vmax=1, extent=whole)
    axis.imshow(heat, cmap=HEAT, norm=scale, extent=whole, interpolation="bicubic")


def _draw_shares(axis: Axes, look: Look, numbers: Sequence[int]) -> None:
    """Each frame's part of what the class token draws from patches, and an even part."""
    t = len(numbers)
    axis.bar(np.arange(t), 100 * look.frame_shares, color=ORANGE)
    axis.axhline(100 / t, color="grey", linewidth=0.8, linestyle="--")
    places, labels = _ticks(numbers, 8)
    axis.set_xticks(places, labels)
    axis.set_title("share of each frame", fontsize="medium")
    axis.set_xlabel("frame")
    axis.set_ylabel("per cent (dashed: even)")


def _draw_between_frames(
    figure: SubFigure, blocks: Sequence[dict[str, Float[Array, "t t"]]], numbers: Sequence[int]
) -> None:
    """The matrices of a few blocks, evenly chosen from first to last: a row of them a step."""
    depth, steps = len(blocks), list(blocks[0])
    chosen = np.linspace(0, depth - 1, min(depth, MOST_BLOCKS)).round().astype(int)
    axes = figure.subplots(len(steps), len(chosen), squeeze=False, sharex=True, sharey=True)
    places, labels = _ticks(numbers, 4)
    largest = max(matrix.max() for block in blocks for matrix in block.values())
    scale = Normalize(0, max(largest, 2 / len(numbers)))
    for row, step in zip(axes, steps, strict=True):
        for axis, block in zip(row, chosen, strict=True):
            axis.imshow(blocks[block][step], cmap=ORANGES, norm=scale)
            axis.set_title(f"{step}, block {block + 1}", fontsize="small")
            axis.set_xticks(places, labels, fontsize="small")
            axis.set_yticks(places, labels, fontsize="small")
    figure.suptitle("which frame looks at which", fontsize="medium")
    figure.supxlabel("frame looked at", fontsize="medium")
    figure.supylabel("frame that looks", fontsize="medium")
    figure.colorbar(ScalarMappable(scale, ORANGES), ax=axes, label="attention", pad=0.01)


def _ticks(numbers: Sequence[int], most: int) -> tuple[list[int], list[str]]:
    """The places of some frames, evenly spaced, and their numbers in the video."""
    places = list(range(0, len(numbers), ceil(len(numbers) / most)))
    return places, [str(numbers[place]) for place in places]
