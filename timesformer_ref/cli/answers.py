"""Show predictions: as tables and lines for people, as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from timesformer_ref.cli.console import bars, out, printable

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from timesformer_ref.use.classify import Prediction
    from timesformer_ref.use.timeline import Timeline

Names = tuple[str, ...] | None


def answer_json(answer: Prediction | Timeline, names: Names, top: int) -> dict[str, Any]:
    """A prediction, or a timeline's windows with `start` and `end` in seconds, as a JSON object."""
    from timesformer_ref.use.timeline import Timeline

    if isinstance(answer, Timeline):
        windows = zip(answer.seconds.tolist(), answer.predictions, strict=True)
        return {
            "windows": [
                {"start": start, "end": end, **answer_json(prediction, names, top)}
                for (start, end), prediction in windows
            ]
        }
    found = {
        "frames": [index for clip in answer.frames for index in clip],
        "views": answer.views,
        "backend": answer.backend,
        "top": [
            {
                "index": index,
                "label": names[index] if names else str(index),
                "probability": float(answer.probabilities[index]),
            }
            for index in answer.top(top)
        ],
        "logits": answer.logits.tolist(),
        "max_difference": answer.max_difference,
    }
    return {name: value for name, value in found.items() if value is not None}


def show_prediction(prediction: Prediction, names: Names, top: int) -> None:
    """Print a table of the best classes."""
    best = prediction.top(top)
    out.print(bars((prediction.probabilities[i], _numbered(i, names)) for i in best))
    if difference := _difference([prediction]):
        out.print(difference)


def show_line(prediction: Prediction, names: Names, top: int) -> None:
    """Print the best classes in one line that begins with the video's name."""
    classes = ", ".join(
        f"{_label(index, names)} {100 * prediction.probabilities[index]:.1f} %"
        for index in prediction.top(top)
    )
    difference = _difference([prediction])
    out.print(f"{printable(prediction.video)}: {classes}" + f" ({difference})" * bool(difference))


def show_timeline(timeline: Timeline, names: Names, with_video: bool) -> None:
    """Print a table of the predicted classes with start, end and probability."""
    from timesformer_ref.use.timeline import clock

    if with_video:
        out.print(f"{printable(timeline.video)}:")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for start, end, best, probability in timeline.stretches:
        times = f"{clock(start)}–{clock(end)}"
        table.add_row(times, f"{100 * probability:.1f} %", _numbered(best, names))
    out.print(table)
    if difference := _difference(timeline.predictions):
        out.print(difference)


def _numbered(index: int, names: Names) -> str:
    return f"{_label(index, names)}  ({index})" if names else f"class {index}"


def _label(index: int, names: Names) -> str:
    return printable(names[index]) if names else str(index)


def _difference(predictions: list[Prediction]) -> str:
    """The largest one in words, where both implementations computed."""
    found = [p.max_difference for p in predictions if p.max_difference is not None]
    return f"largest difference between NumPy and PyTorch: {max(found):.1e}" if found else ""
