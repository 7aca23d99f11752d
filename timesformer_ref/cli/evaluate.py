"""`timesformer-ref evaluate`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Option

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, printable, progress_bar, require, wrong_use
from timesformer_ref.cli.train import NEEDED, VIDEOS, WORKERS, WorkersOption, plain_errors


@options.takes_input
def evaluate(
    videos: Annotated[Path, VIDEOS],
    checkpoint: options.CheckpointOption = None,
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    labels: options.LabelsOption = None,
    folder: Annotated[
        Path | None,
        options.file(
            "Write the confusion matrix, precision and recall of each class, and the prediction of "
            "each video to this folder.",
            "--out",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    workers: WorkersOption = WORKERS,
    *,
    given: options.Input,
) -> None:
    """Measure a checkpoint's accuracy on videos whose classes are known.

    For example: timesformer-ref evaluate videos/ --checkpoint run/best.safetensors --out results
    """
    require("train", *NEEDED)
    given.asked(crops)
    from accelerate import PartialState

    from timesformer_ref.checkpoints.pretrained import TimeSformer
    from timesformer_ref.training import evaluate as evaluation
    from timesformer_ref.training.clips import EvaluationViews
    from timesformer_ref.training.folder import find_videos
    from timesformer_ref.training.pictures import draw_confusion
    from timesformer_ref.training.tables import make_tables, results, write_tables

    loaded, preprocessing = given.read(checkpoint, labels, crops)
    classes = loaded.labels or tuple(map(str, range(loaded.config.num_labels)))
    with progress_bar() as progress, wrong_use(), plain_errors():
        source = EvaluationViews(find_videos(videos, classes), preprocessing, clips)
        task = progress.add_task("videos", total=len(source))
        model, advance = TimeSformer.from_checkpoint(loaded), partial(progress.advance, task)
        result = evaluation.evaluate(model, source, workers=workers, progress=advance)
    if not PartialState().is_main_process:
        return
    tables = make_tables(result, source.videos.names, classes)
    if as_json:
        out.print(json.dumps({"videos": len(source), **result.scores}))
    else:
        out.print(f"{len(source)} videos: {result}")
        for number, is_class, answer in result.confusions(5):
            out.print(printable(f"{number} of {classes[is_class]} taken for {classes[answer]}"))
        out.print(printable("\n".join(results(tables))))
    if folder:
        draw_confusion(result.confusion, classes, folder / "confusion.png")
        write_tables(tables, folder)
