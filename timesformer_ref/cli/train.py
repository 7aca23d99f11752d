"""`timesformer-ref train` and `timesformer-ref evaluate`."""

import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, printable, progress_bar, require, wrong_use
from timesformer_ref.cli.options import file, flag, number, value
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.training.recipe import RECIPES, Precision, Recipe, count_steps

ECHO = 1.0
"""Seconds within which a second signal is the first one again."""


VIDEOS = typer.Argument(
    help="A folder of one folder of videos per class, or a CSV or JSON list.", metavar="VIDEOS"
)
WorkersOption = Annotated[int, value("Processes that read videos, per device.", "N", min=0)]
WORKERS = min(4, os.cpu_count() or 1)
NEEDED = "accelerate", "matplotlib"


@options.takes_input
def train(
    videos: Annotated[Path, VIDEOS],
    run: Annotated[Path, file("The folder for all that the run writes.", "--out", metavar="RUN")],
    checkpoint: options.CheckpointOption = None,
    image_vit: Annotated[
        Path | None,
        file("Start from an image ViT of timm or transformers: a file or folder.", metavar="PATH"),
    ] = None,
    scheme: Annotated[
        str, value("With --image-vit: the attention scheme.", "NAME")
    ] = TimeSformerConfig.attention_type,
    validation: Annotated[
        Path | None, file("Videos, like VIDEOS, to evaluate on after each epoch.", metavar="VIDEOS")
    ] = None,
    recipe: Annotated[
        str, value("paper; paper-ssv2 if left and right matter; small for few videos.", "NAME")
    ] = "paper",
    epochs: Annotated[int | None, number("Length of the run, instead of the recipe's.")] = None,
    steps: Annotated[int | None, number("Length of the run in steps, instead of epochs.")] = None,
    batch: Annotated[
        int | None, number("Clips per step, on all devices; the learning rate follows it.")
    ] = None,
    learning_rate: Annotated[float | None, value("The highest learning rate.", "RATE")] = None,
    clip_norm: Annotated[float | None, value("Largest norm of the gradients.", "NORM")] = None,
    accumulate: Annotated[int, number("Compute each step in N parts, to save memory.")] = 1,
    mixed_precision: Annotated[
        Precision | None, typer.Option(help="By default what Accelerate was launched with, or no.")
    ] = None,
    recompute: Annotated[
        bool, flag("--recompute", "Recompute activations in the backward pass, to save memory.")
    ] = False,
    tensorboard: Annotated[bool, flag("--tensorboard", "Write for TensorBoard too.")] = False,
    seed: Annotated[int, value("Seed of all random numbers.", "N", min=0, max=2**32 - 1)] = 0,
    resume: Annotated[
        bool, flag("--resume", "Continue from the last save in RUN, if there is one.")
    ] = False,
    overwrite: Annotated[bool, flag("--overwrite", "Remove an earlier run from RUN.")] = False,
    save_every: Annotated[int, number("Save the run every N steps.")] = 200,
    most_unreadable: Annotated[
        float, value("Part of the videos that may be unreadable.", "PART", min=0, max=1)
    ] = 0.05,
    workers: WorkersOption = WORKERS,
    *,
    given: options.Input,
) -> None:
    """Fine-tune a checkpoint, or an image ViT's weights, on your own videos.

    For example: timesformer-ref train videos/ -c facebook/timesformer-base-finetuned-k400 --out run

    On several GPUs: accelerate launch -m timesformer_ref train …, or torchrun. RUN will hold the
    log, pictures, and last.safetensors and best.safetensors, which the other commands read.
    """
    given.asked()
    if resume and overwrite:
        raise typer.BadParameter("--resume continues what --overwrite removes: give one of them")
    if (checkpoint is None) == (image_vit is None):
        raise typer.BadParameter("start from --checkpoint, such as camera-motion, or --image-vit")
    if checkpoint is not None and scheme != TimeSformerConfig.attention_type:
        raise typer.BadParameter("--scheme belongs to --image-vit: a checkpoint has its own")
    if run.is_file():
        raise typer.BadParameter(f"--out {run}: is a file: name a folder")
    require("train", *NEEDED)
    if tensorboard:
        require("tensorboard", "tensorboard")
    from timesformer_ref.checkpoints import load_checkpoint
    from timesformer_ref.input.decoding import DisplayWarning
    from timesformer_ref.training.checkpointing import checkpoint_blocks
    from timesformer_ref.training.clips import EvaluationViews, TrainingClips, Unreadable
    from timesformer_ref.training.folder import as_begun, find_videos
    from timesformer_ref.training.inventory import plan_run, take_stock
    from timesformer_ref.training.loop import STATE, UNREADABLE, empty_folder
    from timesformer_ref.training.loop import train as run_training
    from timesformer_ref.training.reporter import Reporter
    from timesformer_ref.training.starting import from_image_vit, model_to_train, with_classes
    from timesformer_ref.training.state import read_settings
    from timesformer_ref.training.tables import aligned, shortened

    unreadable = Unreadable(run / UNREADABLE)
    with progress_bar() as progress, wrong_use(), plain_errors(), ExitStack() as stack:
        changes = {"epochs": epochs, "steps": steps, "batch_size": batch, "clip_norm": clip_norm}
        chosen = choose_recipe(recipe, changes | {"learning_rate": learning_rate})
        begun = read_settings(run / STATE) if resume and (run / STATE).exists() else {}
        found = find_videos(videos, begun.get("classes"))
        held_out = find_videos(validation, found.classes) if validation else None
        found, gone = as_begun(found, begun.get("videos", found.listed))
        if gone:
            err.print(f"warning: {len(gone)} videos have gone since, such as {gone[0]}")
        sizes: dict[str, Any] = {"image_size": given.crop, "num_attention_heads": given.heads}
        if image_vit:
            sizes |= {"attention_type": scheme, "num_frames": given.frames or 8}
            start = from_image_vit(image_vit, found.classes, seed, **sizes)
        else:
            loaded = load_checkpoint(checkpoint or "", num_frames=given.frames, **sizes)
            start = with_classes(loaded, found.classes, seed)
        input_ = given.choose(start)
        model = model_to_train(start, input_, chosen)
        plan: list[str] = []
        if is_main(local=True):
            warnings.simplefilter("ignore", DisplayWarning)  # the table counts them
            parts = {"training": found} | ({"validation": held_out} if held_out else {})
            clips = count_steps(chosen, len(found.paths)) * chosen.batch_size
            how = len(found.paths), accumulate, mixed_precision, recompute
            plan = plan_run(model.config, chosen, *how)
            plan += aligned(take_stock(parts, most_unreadable, clips, progress.track))
            say("\n".join(shortened(plan)))
        if recompute:
            checkpoint_blocks(model)
        if overwrite and is_main():
            empty_folder(run)
        names = held_out.names if held_out else ()
        reporter = Reporter(progress, say, run, found.classes, names, plan, chosen.batch_size)
        reporter.stopped = stack.enter_context(signals_collected())
        reporter.most_unreadable = most_unreadable * len(found.paths)
        history = run_training(
            model,
            TrainingClips(found, input_, chosen, seed, unreadable),
            chosen,
            seed=seed,
            validation=held_out and EvaluationViews(held_out, input_, unreadable=unreadable),
            out=run,
            resume=resume,
            save_every=save_every,
            settings={
                "classes": list(found.classes),
                "videos": found.listed,
                "validation": held_out and held_out.listed,
                "preprocessing": asdict(input_),
            },
            class_weights=found.balance if chosen.balanced else None,
            accumulate=accumulate,
            mixed_precision=mixed_precision,
            tensorboard=tensorboard,
            workers=workers,
            report=reporter,
        )
    if is_main():
        reporter.finish(history)


@options.takes_input
def evaluate(
    videos: Annotated[Path, VIDEOS],
    checkpoint: options.CheckpointOption = None,
    clips: options.ClipsOption = 1,
    crops: options.CropsOption = None,
    labels: options.LabelsOption = None,
    folder: Annotated[
        Path | None,
        file(
            "Write the confusion matrix, precision and recall of each class, and the prediction of "
            "each video to this folder.",
            "--out",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Annotated[bool, flag("--json", "Print one JSON object.")] = False,
    workers: WorkersOption = WORKERS,
    *,
    given: options.Input,
) -> None:
    """Measure a checkpoint's accuracy on videos whose classes are known.

    For example: timesformer-ref evaluate videos/ --checkpoint run/best.safetensors --out results
    """
    require("train", *NEEDED)
    given.asked(crops)
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
    if not is_main():
        return
    tables = make_tables(result, source.videos.names, classes)
    if as_json:
        out.print(json.dumps({"videos": len(source), **result.scores}))
    else:
        out.print(f"{len(source)} videos: {result}")
        for count, is_class, answer in result.confusions(5):
            say(f"{count} of {classes[is_class]} taken for {classes[answer]}")
        say("\n".join(results(tables)))
    if folder:
        draw_confusion(result.confusion, classes, folder / "confusion.png")
        write_tables(tables, folder)


def choose_recipe(name: str, changes: Mapping[str, Any]) -> Recipe:
    """The named recipe with those changes that are not None; its learning rate follows the batch.

    Raises ValueError for an unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown: use {' or '.join(RECIPES)}")
    named = RECIPES[name]
    asked = {field: value for field, value in changes.items() if value is not None}
    if asked.keys() & {"epochs", "steps"}:
        asked = {"epochs": None, "steps": None} | asked
    larger = asked.get("batch_size", named.batch_size) / named.batch_size
    return replace(named, **{"learning_rate": named.learning_rate * larger} | asked)


def say(text: str) -> None:
    """Print a text with names of files in it."""
    out.print(printable(text))


def is_main(local: bool = False) -> bool:
    """Whether this is the main process, of all or of this machine's."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    return bool(state.is_local_main_process if local else state.is_main_process)


@contextmanager
def signals_collected() -> Iterator[list[str]]:
    """Note Ctrl-C and SIGTERM: a run ends saved, after its step; another one ends it at once.

    A launcher passes on what the terminal or the scheduler has sent to all: that is the same one.
    """
    received: list[str] = []
    first = inf

    def note(number: int, frame: object) -> None:
        nonlocal first
        if time.monotonic() - first > ECHO:
            raise KeyboardInterrupt
        if not received:
            first = time.monotonic()
            received.append(f"stopped by {signal.Signals(number).name}")
            err.print("ending after this step; once more to end at once")

    main = threading.current_thread() is threading.main_thread()  # which alone gets signals
    both = (signal.SIGINT, signal.SIGTERM) if main else ()
    before = {number: signal.signal(number, note) for number in both}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Reduce an error from a process that reads videos to that error's own message."""
    from timesformer_ref.input.decoding import VideoError

    try:
        yield
    except (VideoError, ValueError) as error:
        if "DataLoader worker" not in str(error):
            raise
        last = str(error).strip().splitlines()[-1]
        raise type(error)(last.partition("Error: ")[2]) from error
