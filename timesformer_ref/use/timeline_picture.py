"""A timeline as a picture: the classes along time, and how probable each is."""

from collections import Counter
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import MultipleLocator

from timesformer_ref.atomic import check_target, whole_file
from timesformer_ref.endings import TIMELINES
from timesformer_ref.use.timeline import Timeline, clock

COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")
"""Those of Matplotlib's colours that are easy to distinguish; as many classes have a row."""

OTHER = "#b0b0b0"
"""Colour of a best class that has no row."""

WIDTH = 11.0
"""Width of the picture, inches."""
STRIP, BAND, ROW = 0.8, 0.35, 0.4
"""Height of the frames, of the best classes, and of the row of one class, inches."""
FULL = 0.85
"""Height of probability 1 in a row of height 1."""
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)
"""Possible spacings of the times on the axis, seconds; the least that gives few enough is taken."""
MOST_TICKS = 12
LONGEST_NAME = 28
"""Longest name of a class that is shown whole, in letters."""


def draw_timeline(timeline: Timeline, names: tuple[str, ...] | None, target: Path) -> None:
    """Write a timeline as a picture. names: of the classes; None shows their numbers.

    Raises ValueError for another ending, and for a folder; OSError where it cannot be written.
    """
    check_target(target, TIMELINES)
    with whole_file(target) as unfinished:
        picture(timeline, names).savefig(unfinished, dpi=120)


def picture(timeline: Timeline, names: tuple[str, ...] | None) -> Figure:
    """Draw along time: some frames, the best class as a band, and one row per class."""
    classes = shown_classes(timeline)
    heights = [STRIP, BAND, ROW * len(classes)]
    figure = Figure((WIDTH, sum(heights) + 0.8), layout="constrained")
    frames, band, rows = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    colours = dict(zip(classes, COLOURS, strict=False))
    _draw_frames(frames, timeline)
    _draw_band(band, timeline, colours)
    _draw_rows(rows, timeline, colours, names)
    return figure


def shown_classes(timeline: Timeline) -> list[int]:
    """All classes if they are few, else those that are most often the best one of a window."""
    labels = timeline.probabilities.shape[1]
    if labels <= len(COLOURS):
        return list(range(labels))
    return sorted(best for best, _ in Counter(timeline.best).most_common(len(COLOURS)))


def _draw_frames(axes: Axes, timeline: Timeline) -> None:
    """Draw small frames of the video side by side, as large as the strip allows."""
    start, end = timeline.borders[0], timeline.borders[-1]
    places = len(timeline.pictures)
    axes.set_axis_off()
    for place, frame in enumerate(timeline.pictures):
        time = start + (end - start) * (place + 0.5) / places
        zoom = 72 * min(0.76 * WIDTH / places / frame.shape[1], STRIP / frame.shape[0])
        axes.add_artist(AnnotationBbox(OffsetImage(frame, zoom=zoom), (time, 0.5), frameon=False))


def _draw_band(axes: Axes, timeline: Timeline, colours: dict[int, str]) -> None:
    for start, end, best, _ in timeline.stretches:
        axes.axvspan(start, end, color=colours.get(best, OTHER), linewidth=0)
    others = " (grey: another)" if set(timeline.best) - colours.keys() else ""
    axes.set_yticks([0.5], [f"best{others}"])
    axes.set_ylim(0, 1)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)


def _draw_rows(
    axes: Axes, timeline: Timeline, colours: dict[int, str], names: tuple[str, ...] | None
) -> None:
    """Draw each class's probability as a height in its row; a full row is probability 1."""
    for foot, (label, colour) in enumerate(colours.items()):
        heights = foot - FULL * timeline.probabilities[:, label]
        axes.stairs(heights, timeline.borders, baseline=foot, fill=True, color=colour)
        axes.axhspan(foot - FULL, foot, color=colour, alpha=0.08, linewidth=0)
    middles = [foot - FULL / 2 for foot in range(len(colours))]
    axes.set_yticks(middles, [_name(label, names) for label in colours], parse_math=False)
    start, *_, end = timeline.borders
    axes.set(xlim=(start, end), ylim=(len(colours) - 1, -1))
    step = next((tick for tick in TICKS if (end - start) / tick < MOST_TICKS), TICKS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda seconds, _: clock(seconds).removesuffix(".0"))
    axes.set_xlabel("in each row: how probable the class is, up to 100 %", fontsize="small")
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _name(label: int, names: tuple[str, ...] | None) -> str:
    name = names[label] if names else f"class {label}"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
