"""`timesformer-ref evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from timesformer_ref.camera_motion.clips import EvaluationClips
    from timesformer_ref.input.preprocessing import Preprocessing


Generated = Literal["fresh", "photographs"]
"""Clips of known camera moves: over generated pictures, or over photographs."""

Shown = Literal["forwards", "backwards", "mirrored"]
"""How generated clips are shown; their classes change with it."""


@options.takes_input
def evaluate(
    videos: VideosArgument = None,
    checkpoint: options.CheckpointOption = None,
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    generated: Annotated[
        Generated | None,
        typer.Option(
            help="Instead of VIDEOS: generated clips of camera moves, none used in training, "
            "or camera moves over scikit-image's photographs."
        ),
    ] = None,
    shown: Annotated[
        Shown, typer.Option(help="Reverse or mirror generated clips, and their classes with them.")
    ] = "forwards",
    labels: options.LabelsOption = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write confusion.png and confusion.csv to this folder.", metavar="FOLDER"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    workers: WorkersOption = None,
    *,
    given: options.VideoInput,
) -> None:
    """Measure a checkpoint's accuracy on videos whose classes are known.

    For example: timesformer-ref evaluate videos/ --checkpoint run/best.safetensors --out results

    For the model that comes with the package: timesformer-ref evaluate --generated photographs
    """
    require_training()
    if bool(videos) == bool(generated):
        raise typer.BadParameter("give VIDEOS or --generated: what to evaluate on")
    from accelerate import PartialState

    from timesformer_ref.checkpoints.labels import read_labels
    from timesformer_ref.checkpoints.pretrained import TimeSformer
    from timesformer_ref.training import evaluate as evaluation
    from timesformer_ref.training.clips import EvaluationViews
    from timesformer_ref.training.folder import find_videos
    from timesformer_ref.training.pictures import draw_confusion, write_confusion

    given.asked(crops)  # before anything is read
    loaded = options.read_checkpoint(checkpoint, given.heads)
    preprocessing = given.choose(loaded, crops)
    count = loaded.config.num_labels
    names = read_labels(labels, count) if labels else loaded.labels
    classes = names or tuple(map(str, range(count)))
    with progress_bar() as progress, wrong_use(), plain_errors():
        source: EvaluationClips | EvaluationViews
        if videos:
            source = EvaluationViews(
                find_videos(videos, classes), preprocessing, clips, given.pixels
            )
        elif generated:
            source = generated_clips(generated, shown, preprocessing, classes)
        task = progress.add_task("videos", total=len(source))
        result = evaluation.evaluate(
            TimeSformer.from_checkpoint(loaded),
            source,
            workers=0 if generated else count_workers(workers),
            progress=lambda done: progress.advance(task, done),
        )
    if not PartialState().is_main_process:
        return
    if as_json:
        out.print(json.dumps({"videos": len(source), **result.scores}))
    else:
        out.print(f"{len(source)} videos: {result}")
        for number, is_class, answer in result.confusions(5):
            out.print(printable(f"{number} of {classes[is_class]} taken for {classes[answer]}"))
    if folder:
        draw_confusion(result.confusion, classes, folder / "confusion.png")
        write_confusion(result.confusion, classes, folder / "confusion.csv")


def generated_clips(
    generated: Generated, shown: Shown, preprocessing: Preprocessing, classes: tuple[str, ...]
) -> EvaluationClips:
    """The clips of camera moves. Raises ValueError for a model with other classes."""
    from timesformer_ref.camera_motion.clips import fresh_clips, photograph_clips
    from timesformer_ref.camera_motion.moves import LABELS

    if classes != LABELS:
        raise ValueError(
            f"--generated {generated}: shows {', '.join(LABELS)}, and the checkpoint has "
            f"{', '.join(classes[:3])}, …: use one that was trained on camera moves"
        )
    make = fresh_clips if generated == "fresh" else photograph_clips
    return make(preprocessing, shown=shown)
