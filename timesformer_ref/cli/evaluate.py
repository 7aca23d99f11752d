"""`timesformer-ref evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, printable, progress_bar, wrong_use
from timesformer_ref.cli.train import (
    VideosArgument,
    WorkersOption,
    count_workers,
    plain_errors,
    require_training,
)


def evaluate(
    videos: VideosArgument,
    checkpoint: options.CheckpointOption = None,
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of the classes: a line each, or JSON.", metavar="FILE"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write confusion.png and confusion.csv to this folder.", metavar="FOLDER"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    workers: WorkersOption = None,
    variant: options.VariantOption = None,
    frames: options.FramesOption = None,
    rate: options.RateOption = None,
    crop: options.CropOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    channel_order: options.OrderOption = None,
    pixels: options.PixelsOption = options.Pixels.stored,
    heads: options.HeadsOption = None,
) -> None:
    """Tell how often a checkpoint is right on videos whose classes are known.

    For example: timesformer-ref evaluate videos/ --checkpoint run/best.safetensors --out results
    """
    require_training()
    from accelerate import PartialState

    from timesformer_ref.labels import read_labels
    from timesformer_ref.pretrained import TimeSformer
    from timesformer_ref.training import evaluate as evaluation
    from timesformer_ref.training.clips import EvaluationViews
    from timesformer_ref.training.folder import find_videos
    from timesformer_ref.training.pictures import draw_confusion, write_confusion

    asked = options.asked_for(frames, rate, crop, mean, std, channel_order, crops)
    loaded = options.read_checkpoint(checkpoint, heads)
    preprocessing = options.choose_input(loaded, variant, asked)
    count = loaded.config.num_labels
    names = read_labels(labels, count) if labels else loaded.labels
    classes = names or tuple(map(str, range(count)))
    found = find_videos(videos, classes)
    with progress_bar() as progress, wrong_use(), plain_errors():
        task = progress.add_task("videos", total=len(found.paths))
        result = evaluation.evaluate(
            TimeSformer.from_checkpoint(loaded),
            EvaluationViews(found, preprocessing, clips, pixels.value),
            workers=count_workers(workers),
            progress=lambda done: progress.advance(task, done),
        )
    if not PartialState().is_main_process:
        return
    if as_json:
        out.print(json.dumps({"videos": len(found.paths), **result.scores}))
    else:
        out.print(f"{len(found.paths)} videos: {result}")
        for number, is_class, answer in result.confusions(5):
            out.print(printable(f"{number} of {classes[is_class]} taken for {classes[answer]}"))
    if folder:
        draw_confusion(result.confusion, classes, folder / "confusion.png")
        write_confusion(result.confusion, classes, folder / "confusion.csv")
