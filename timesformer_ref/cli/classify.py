"""`timesformer-ref classify`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.markup import escape

from timesformer_ref import default_model
from timesformer_ref.cli import options
from timesformer_ref.cli.answers import answer_json, show_line, show_prediction, show_timeline
from timesformer_ref.cli.console import err, one_line, out, progress_bar, require, wrong_use

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from timesformer_ref.input.video import Clip
    from timesformer_ref.use.classify import Classifier, Prediction, Progress
    from timesformer_ref.use.timeline import Timeline

Answer = TypeVar("Answer")


@options.takes_input
def classify(
    videos: Annotated[
        list[Path],
        typer.Argument(help="Video files, or folders of them.", metavar="VIDEO"),
    ],
    checkpoint: options.CheckpointOption = None,
    backend: Annotated[
        options.Backend, typer.Option(help="Which implementation computes; 'both' compares them.")
    ] = "torch",
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Classify every part of each video, with start and end."),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            help="With --timeline: seconds from the start of one window to the next; by default "
            "the length of a window.",
            metavar="SECONDS",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="With --timeline, for one video: also draw it, as .png, .svg or .pdf.",
            metavar="FILE",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many classes to show.", min=1, metavar="N")] = 5,
    labels: options.LabelsOption = None,
    average: Annotated[
        Literal["logits", "softmax"],
        typer.Option(help="Average the views' logits (original) or their softmax (paper)."),
    ] = "logits",
    device: options.DeviceOption = "cpu",
    dtype: Annotated[
        options.Dtype, typer.Option(help="Arithmetic of the PyTorch implementation.")
    ] = "float32",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object per line and video.")
    ] = False,
    *,
    given: options.VideoInput,
) -> None:
    """Predict the most probable classes of videos.

    For example: timesformer-ref classify video.mp4

    Without --checkpoint the small model that comes with the package predicts how the camera moves.
    """
    files = _expand(videos)
    if timeline:
        _check_timeline(clips, picture, files)
    elif every is not None or picture:
        raise typer.BadParameter("--every and --picture belong to --timeline: give that too")
    import torch

    from timesformer_ref.checkpoints.labels import read_labels
    from timesformer_ref.use.classify import Classifier
    from timesformer_ref.use.prefetch import prefetch
    from timesformer_ref.use.timeline import Timeline, classify_windows

    given.asked(crops)  # before anything is read
    loaded = options.read_checkpoint(checkpoint, given.heads)
    preprocessing = given.choose(loaded, crops)
    names = read_labels(labels, loaded.config.num_labels) if labels else loaded.labels
    classifier = Classifier(
        loaded,
        preprocessing,
        backend=backend,
        device=options.check_device(device),
        dtype=getattr(torch, dtype),
        average=average,
    )
    answers: Iterable[Callable[..., Prediction | Timeline]]
    if timeline:
        answers = (partial(classify_windows, classifier, file, every=every) for file in files)
    else:
        reads = prefetch(partial(classifier.read, file, clips) for file in files)
        answers = (
            partial(_predict, classifier, file, read)
            for file, read in zip(files, reads, strict=True)
        )
    failed = 0
    with progress_bar() as progress:
        task = progress.add_task("", total=len(files))
        for number, (file, work) in enumerate(zip(files, answers, strict=True)):
            progress.update(task, description=escape(file.name), completed=number)
            answer = _try(partial(work, progress=partial(progress.advance, task)))
            if answer is None:
                failed += 1
            elif as_json:
                found = answer_json(answer, names, top)
                model = checkpoint or default_model.NAME
                out.print(json.dumps({"video": answer.video, "checkpoint": model, **found}))
            elif isinstance(answer, Timeline):
                show_timeline(answer, names, with_video=len(files) > 1)
            elif len(files) == 1:
                show_prediction(answer, names, top)
            else:
                show_line(answer, names, top)
            if picture and isinstance(answer, Timeline):
                from timesformer_ref.use.timeline_picture import draw_timeline

                draw_timeline(answer, names, picture)
    if failed:
        if len(files) > 1:
            err.print(f"{failed} of {len(files)} videos could not be classified")
        raise typer.Exit(1)


def _predict(
    classifier: Classifier, file: Path, read: Future[Clip], progress: Progress
) -> Prediction:
    return classifier.predict(file, read.result(), progress)


def _check_timeline(clips: int, picture: Path | None, files: list[Path]) -> None:
    if clips != 1:
        raise typer.BadParameter(
            f"--clips {clips} does not go with --timeline, whose every window is a clip"
        )
    if picture is None:
        return
    if len(files) > 1:
        raise typer.BadParameter(f"--picture shows one video, not {len(files)}: name one")
    if picture.resolve() == files[0].resolve():
        raise typer.BadParameter(f"--picture {picture} would replace the video: name another file")
    require("pictures", "matplotlib")
    from timesformer_ref.use.target import check_target
    from timesformer_ref.use.timeline_picture import ENDINGS

    with wrong_use():
        check_target(picture, ENDINGS)


def _expand(videos: list[Path]) -> list[Path]:
    """The given files, with each folder replaced by the videos in it, sorted by name."""
    from timesformer_ref.input.folders import videos_in, warn_of_others

    files: list[Path] = []
    for video in videos:
        if not video.is_dir():
            files.append(video)
            continue
        inside, others = videos_in(video)
        warn_of_others(video, others)
        if not inside:
            raise typer.BadParameter(f"{video}: a folder without any video file")
        files += inside
    return files


def _try(work: Callable[[], Answer]) -> Answer | None:
    """The prediction; None, after one line on standard error, where the video has none."""
    from timesformer_ref.input.decoding import VideoError
    from timesformer_ref.use.classify import LogitsError

    try:
        with wrong_use():
            return work()
    except (LogitsError, VideoError, OSError) as error:
        err.print(one_line(error))
    return None
