"""`timesformer-ref classify`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

from timesformer_ref import default_model
from timesformer_ref.cli import many, options
from timesformer_ref.cli.answers import answer_json, show_line, show_prediction, show_timeline
from timesformer_ref.cli.console import err, out, require
from timesformer_ref.cli.options import flag, number
from timesformer_ref.endings import TIMELINES


@options.takes_input
def classify(
    videos: Annotated[
        list[Path] | None, Argument(help="Video files, or folders of them.", metavar="VIDEO")
    ] = None,
    listed: many.ListOption = None,
    out_file: Annotated[
        Path | None,
        options.file(
            "Write JSON, an object per line and video, to a file instead, as results come; "
            "with an existing file the run continues.",
            "--out",
        ),
    ] = None,
    retry: many.RetryOption = False,
    checkpoint: options.CheckpointOption = None,
    backend: Annotated[
        Literal["torch", "numpy", "both"],
        Option(help="Which implementation computes; 'both' compares them."),
    ] = "torch",
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    timeline: Annotated[
        bool, flag("--timeline", "Classify every part of each video, with start and end.")
    ] = False,
    every: Annotated[
        float | None,
        Option(
            help="With --timeline: seconds from the start of one window to the next; by default "
            "the length of a window.",
            metavar="SECONDS",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        options.file("With --timeline, for one video: also draw it, as .png, .svg or .pdf."),
    ] = None,
    top: Annotated[int, number("How many classes to show.")] = 5,
    labels: options.LabelsOption = None,
    average: Annotated[
        Literal["logits", "softmax"],
        Option(help="Average the views' logits (original) or their softmax (paper)."),
    ] = "logits",
    device: options.DeviceOption = "cpu",
    dtype: Annotated[
        options.Dtype, Option(help="Arithmetic of the PyTorch implementation.")
    ] = "float32",
    as_json: Annotated[bool, flag("--json", "Print JSON: one object per line and video.")] = False,
    *,
    given: options.Input,
) -> None:
    """Predict the most probable classes of videos.

    For example: timesformer-ref classify video.mp4

    Without --checkpoint the small model that comes with the package predicts how the camera moves.
    """
    files = many.find_files(videos or [], listed)
    if timeline and clips != 1:
        raise typer.BadParameter(
            f"--clips {clips} does not go with --timeline, whose every window is a clip"
        )
    if not timeline and (every is not None or picture):
        raise typer.BadParameter("--every and --picture belong to --timeline: give that too")
    if picture:
        if len(files) > 1:
            raise typer.BadParameter(f"--picture shows one video, not {len(files)}: name one")
        options.check_replaced(picture, files)
        options.check_target(picture, TIMELINES)
        require("pictures", "matplotlib")
    if out_file and (as_json or picture):
        raise typer.BadParameter("--json and --picture do not go with --out, which writes JSON")
    if not out_file and (retry or many.launched()):
        raise typer.BadParameter("--retry, and several processes, need --out: a file of results")
    given.asked(crops)
    import torch

    from timesformer_ref.use.classify import Classifier, Prediction, Progress
    from timesformer_ref.use.prefetch import prefetch
    from timesformer_ref.use.results import fingerprint
    from timesformer_ref.use.timeline import Timeline, classify_windows

    loaded, preprocessing = given.read(checkpoint, labels, crops)
    names = loaded.labels
    where, kind = many.own_device(device), getattr(torch, dtype)
    classifier = Classifier(
        loaded, preprocessing, backend=backend, device=where, dtype=kind, average=average
    )

    def work_on(files: list[Path]) -> Callable[[Path, Progress], Prediction | Timeline]:
        reads = prefetch(partial(classifier.read, file, clips) for file in files)

        def work(file: Path, progress: Progress) -> Prediction | Timeline:
            if timeline:
                return classify_windows(classifier, file, every=every, progress=progress)
            return classifier.predict(file, next(reads).result(), progress)

        return work

    def as_object(answer: Prediction | Timeline) -> dict[str, Any]:
        model = checkpoint or default_model.NAME
        return {"video": answer.video, "checkpoint": model, **answer_json(answer, names, top)}

    def show(answer: Prediction | Timeline) -> None:
        if as_json:
            out.print(json.dumps(as_object(answer)))
        elif isinstance(answer, Timeline):
            show_timeline(answer, names, with_video=len(files) > 1)
        elif len(files) == 1:
            show_prediction(answer, names, top)
        else:
            show_line(answer, names, top)
        if picture and isinstance(answer, Timeline):
            from timesformer_ref.use.timeline_picture import draw_timeline

            draw_timeline(answer, names, picture)

    if out_file:
        settings = {
            "checkpoint": fingerprint(loaded), "input": asdict(preprocessing), "names": names,
            "how": [backend, clips, timeline, every, top, average, dtype],
        }  # fmt: skip
        with many.results_in(out_file, settings, files, retry) as (results, left):
            many.work_through(left, work_on(left), lambda a: results.add(**as_object(a)), results)
    elif failed := many.work_through(files, work_on(files), show):
        if len(files) > 1:
            err.print(f"{failed} of {len(files)} videos could not be classified")
        raise typer.Exit(1)
