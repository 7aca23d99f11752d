"""`timesformer-ref classify`."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, one_line, out, printable, progress_bar, wrong_use

if TYPE_CHECKING:
    from timesformer_ref.classify import Classifier, Prediction


def classify(
    videos: Annotated[
        list[Path],
        typer.Argument(help="Video files, or folders of them.", metavar="VIDEO"),
    ],
    checkpoint: options.CheckpointOption,
    backend: Annotated[
        options.Backend, typer.Option(help="Which implementation computes; 'both' compares them.")
    ] = options.Backend.torch,
    clips: options.ClipsOption = 1,
    crops: Annotated[
        str, typer.Option(help="Crops of each clip: 3, or 1 for the centre.", metavar="1|3")
    ] = "3",
    top: Annotated[int, typer.Option(help="How many classes to show.", min=1, metavar="N")] = 5,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of the classes: a line each, or JSON.", metavar="FILE"),
    ] = None,
    variant: options.VariantOption = None,
    frames: options.FramesOption = None,
    rate: options.RateOption = None,
    crop: options.CropOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    channel_order: options.OrderOption = None,
    pixels: options.PixelsOption = options.Pixels.stored,
    average: Annotated[
        options.Average,
        typer.Option(help="Average the views' logits (original) or their softmax (paper)."),
    ] = options.Average.logits,
    device: options.DeviceOption = "cpu",
    dtype: Annotated[
        options.Dtype, typer.Option(help="Arithmetic of the PyTorch implementation.")
    ] = options.Dtype.float32,
    heads: options.HeadsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each video.")
    ] = False,
) -> None:
    """Tell the most probable classes of videos.

    For example: timesformer-ref classify video.mp4 --checkpoint weights.pyth
    """
    import torch

    from timesformer_ref.checkpoints import load_checkpoint
    from timesformer_ref.classify import Classifier
    from timesformer_ref.labels import read_labels

    num_crops = options.count_crops(crops)
    loaded = load_checkpoint(checkpoint, num_attention_heads=heads)
    asked = options.asked_for(frames, rate, crop, mean, std, channel_order)
    preprocessing = options.choose_input(loaded, variant, asked)
    names = read_labels(labels, loaded.config.num_labels) if labels else loaded.labels
    classifier = Classifier(
        loaded,
        preprocessing,
        backend=backend.value,
        device=options.check_device(device),
        dtype=getattr(torch, dtype.value),
        average=average.value,
    )
    files = _expand(videos)
    failed = 0
    views = clips * num_crops * len(classifier.runs)
    with progress_bar() as progress:
        task = progress.add_task("", total=len(files) * views)
        for number, file in enumerate(files):
            progress.update(task, description=escape(file.name), completed=number * views)
            prediction = _try_classify(
                classifier, file, clips, num_crops, pixels, lambda: progress.advance(task)
            )
            if prediction is None:
                failed += 1
            elif as_json:
                out.print(json.dumps(_as_json(prediction, names, top)))
            elif len(files) == 1:
                _show(prediction, names, top)
            else:
                out.print(_line(prediction, names, top))
    if failed:
        if len(files) > 1:
            err.print(f"{failed} of {len(files)} videos could not be classified")
        raise typer.Exit(1)


def _expand(videos: list[Path]) -> list[Path]:
    """The files themselves, and for a folder the videos in it by name."""
    files: list[Path] = []
    for video in videos:
        if not video.is_dir():
            files.append(video)
            continue
        inside = sorted(p for p in video.iterdir() if p.is_file() and _is_video(p))
        if not inside:
            raise typer.BadParameter(f"{video}: a folder without any video file")
        files += inside
    return files


def _is_video(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("video/") or path.suffix.lower() in (".mkv", ".flv", ".m2ts", ".ts")


def _try_classify(
    classifier: Classifier,
    file: Path,
    clips: int,
    crops: int,
    pixels: options.Pixels,
    progress: Any,
) -> Prediction | None:
    """The prediction, or nothing after a line that says what is wrong with the video."""
    from timesformer_ref.classify import LogitsError
    from timesformer_ref.video import VideoError

    try:
        with wrong_use():
            return classifier(
                file, num_clips=clips, num_crops=crops, pixels=pixels.value, progress=progress
            )
    except (LogitsError, VideoError, OSError) as error:
        err.print(one_line(error))
    return None


def _as_json(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "video": prediction.video,
        "frames": [index for clip in prediction.frames for index in clip],
        "views": prediction.views,
        "backend": prediction.backend,
        "top": [
            {
                "index": index,
                "label": names[index] if names else str(index),
                "probability": float(prediction.probabilities[index]),
            }
            for index in prediction.top(top)
        ],
        "logits": prediction.logits.tolist(),
    }
    if prediction.max_difference is not None:
        answer["max_difference"] = prediction.max_difference
    return answer


def _label(index: int, names: tuple[str, ...] | None) -> str:
    return printable(names[index]) if names else str(index)


def _show(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column(style="cyan", width=20)
    table.add_column(overflow="fold")
    for index in prediction.top(top):
        probability = float(prediction.probabilities[index])
        bar = "█" * round(20 * probability)
        name = f"{_label(index, names)}  ({index})" if names else f"class {index}"
        table.add_row(f"{100 * probability:.1f} %", bar, name)
    out.print(table)
    if prediction.max_difference is not None:
        out.print(_difference(prediction))


def _line(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> str:
    classes = ", ".join(
        f"{_label(index, names)} {100 * prediction.probabilities[index]:.1f} %"
        for index in prediction.top(top)
    )
    line = f"{printable(prediction.video)}: {classes}"
    if prediction.max_difference is not None:
        line += f" ({_difference(prediction)})"
    return line


def _difference(prediction: Prediction) -> str:
    return f"largest difference between NumPy and PyTorch: {prediction.max_difference:.1e}"
