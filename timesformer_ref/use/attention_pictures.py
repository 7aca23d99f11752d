"""Attention as pictures: heat maps over the frames, shares per frame, and from frame to frame."""

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

from timesformer_ref.atomic import check_target, whole_file
from timesformer_ref.endings import ATTENTION
from timesformer_ref.use.attend import ClipAttention

Array = np.ndarray
Frames = Float[Array, "t H W c"]

HEAT = LinearSegmentedColormap.from_list("heat", ["#ffc00000", "#ff9a0080", "#d00000d9"])
"""From transparent to red: patches with no more than an even share have no colour."""
ORANGE, ORANGES = "#c2410c", "Oranges"
WIDTH = 12.0
"""Width of a picture, inches."""
MOST_BLOCKS = 4
"""Most blocks of which attention between frames is shown."""
FRAMES_PER_SECOND = 2
"""Speed of an animation."""


def draw_attention(
    found: ClipAttention, frames: Frames, numbers: Sequence[int], answer: str, target: Path
) -> None:
    """Write the heat maps of a clip as one picture (`.png`) or as an animation (`.gif`).

    frames: as `read_shown_frames` returns them; numbers: theirs in the video. answer: best class.
    Raises ValueError for another ending, and for a folder; OSError where it cannot be written.
    """
    check_target(target, ATTENTION)
    with whole_file(target) as unfinished:
        if target.suffix == ".gif":
            write_animation(found, frames, numbers, answer, unfinished)
        else:
            picture(found, frames, numbers, answer).savefig(unfinished, dpi=100)


def picture(found: ClipAttention, frames: Frames, numbers: Sequence[int], answer: str) -> Figure:
    """Draw all frames with their heat maps; below, each frame's share, and frame to frame."""
    t, steps = len(frames), len(found.frames[0])
    columns = 16 if t > 32 else min(max(t, 4), 8)
    rows = ceil(t / columns)
    heights = [rows * (WIDTH / columns + 0.2), 1.2 + 1.8 * max(steps, 1)]
    figure = Figure((WIDTH, sum(heights) + 0.3), layout="constrained")
    figure.suptitle(f"What the class token attends to: {answer}", parse_math=False, wrap=True)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    axes = above.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    heat, scale = _heat(found)
    for axis, frame, frame_heat, number in zip(axes.flat, frames, heat, numbers, strict=False):
        _draw_overlay(axis, frame, frame_heat, scale)
        axis.set_title(f"frame {number}", fontsize="small")
    above.colorbar(ScalarMappable(scale, HEAT), ax=axes, label="times an even share", pad=0.01)
    if steps:
        across = 1.6 + 1.75 * min(len(found.frames), MOST_BLOCKS)
        ratios = [WIDTH - across, across]
        below, right = below.subfigures(1, 2, squeeze=False, width_ratios=ratios)[0]
        _draw_between_frames(right, found.frames, numbers)
    _draw_shares(below.subplots(), found, numbers)
    return figure


def write_animation(
    found: ClipAttention, frames: Frames, numbers: Sequence[int], answer: str, path: Path
) -> None:
    """Draw one frame after another with its heat map."""
    figure = Figure((3.2, 3.6), layout="constrained")
    figure.suptitle(answer, parse_math=False, wrap=True)
    axis = figure.subplots()
    heat, scale = _heat(found)
    writer = PillowWriter(fps=FRAMES_PER_SECOND)
    with writer.saving(figure, str(path), dpi=80):
        shown = zip(frames, heat, numbers, found.frame_shares, strict=True)
        for frame, frame_heat, number, share in shown:
            axis.clear()
            axis.set_axis_off()
            _draw_overlay(axis, frame, frame_heat, scale)
            title = f"frame {number}, {100 * share:.1f} % of the attention"
            axis.set_title(title, fontsize="small")
            writer.grab_frame()


def _heat(found: ClipAttention) -> tuple[Float[Array, "t h w"], Normalize]:
    """Each patch's share in times an even share, and one colour scale for all frames.

    The scale goes to 1.1 at least, so that nearly even attention stays without colour.
    """
    heat = found.patches / found.patches.mean()
    return heat, Normalize(1, max(heat.max(), 1.1))


def _draw_overlay(
    axis: Axes, frame: Float[Array, "H W c"], heat: Float[Array, "h w"], scale: Normalize
) -> None:
    whole = (0, 1, 0, 1)
    axis.imshow(frame.mean(axis=2), cmap="gray", vmin=0, vmax=1, extent=whole)
    axis.imshow(heat, cmap=HEAT, norm=scale, extent=whole, interpolation="bicubic")


def _draw_shares(axis: Axes, found: ClipAttention, numbers: Sequence[int]) -> None:
    """Draw each frame's share of the attention, and an even share as a dashed line."""
    t = len(numbers)
    axis.bar(np.arange(t), 100 * found.frame_shares, color=ORANGE)
    axis.axhline(100 / t, color="grey", linewidth=0.8, linestyle="--")
    axis.set_xticks(*_ticks(numbers, 8))
    axis.set_title("share of each frame", fontsize="medium")
    axis.set(xlabel="frame", ylabel="per cent (dashed: even)")


def _draw_between_frames(
    figure: SubFigure, blocks: Sequence[dict[str, Float[Array, "t t"]]], numbers: Sequence[int]
) -> None:
    """Draw the matrices of a few blocks, evenly chosen from first to last: one row per step."""
    depth, steps = len(blocks), list(blocks[0])
    chosen = np.linspace(0, depth - 1, min(depth, MOST_BLOCKS)).round().astype(int)
    axes = figure.subplots(len(steps), len(chosen), squeeze=False, sharex=True, sharey=True)
    places, labels = _ticks(numbers, 4)
    largest = max(matrix.max() for block in blocks for matrix in block.values())
    scale = Normalize(0, max(largest, 2 / len(numbers)))
    for row, step in zip(axes, steps, strict=True):
        for axis, block in zip(row, chosen, strict=True):
            axis.imshow(blocks[block][step], cmap=ORANGES, norm=scale)
            axis.set_title(f"{step}, block {block}", fontsize="small")
            axis.set_xticks(places, labels, fontsize="small")
            axis.set_yticks(places, labels, fontsize="small")
    figure.suptitle("attention between frames", fontsize="medium")
    figure.supxlabel("frame of the key", fontsize="medium")
    figure.supylabel("frame of the query", fontsize="medium")
    figure.colorbar(ScalarMappable(scale, ORANGES), ax=axes, label="attention", pad=0.01)


def _ticks(numbers: Sequence[int], most: int) -> tuple[list[int], list[str]]:
    """Evenly spaced tick places, at most `most`, and their frames' numbers in the video."""
    places = list(range(0, len(numbers), ceil(len(numbers) / most)))
    return places, [str(numbers[place]) for place in places]
