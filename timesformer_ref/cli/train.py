"""`timesformer-ref train`."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, printable, progress_bar, require, wrong_use
from timesformer_ref.cli.options import number
from timesformer_ref.training.recipe import RECIPES, Precision, Recipe, count_steps

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.input.preprocessing import Preprocessing
    from timesformer_ref.training.folder import Videos

EVALUATIONS = 10
"""Number of evaluations of a run without epochs."""
ECHO = 1.0
"""Seconds within which a second signal is the first one again."""


VIDEOS = typer.Argument(
    help="A folder with one folder of videos per class, or a CSV or JSON list of path and label.",
    metavar="VIDEOS",
)
WorkersOption = Annotated[
    int,
    typer.Option(
        help="Processes that read videos, per device; by default up to 4, one per processor.",
        min=0,
        metavar="N",
        show_default=False,
    ),
]
WORKERS = min(4, os.cpu_count() or 1)
NEEDED = "accelerate", "matplotlib"


@options.takes_input
def train(
    videos: Annotated[Path, VIDEOS],
    run: Annotated[
        Path, options.file("The folder for everything that the run writes.", "--out", metavar="RUN")
    ],
    checkpoint: options.CheckpointOption = None,
    image_vit: Annotated[
        Path | None,
        options.file(
            "Start from an image ViT instead: a file or folder of timm or transformers.",
            metavar="PATH",
        ),
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="With --image-vit: the attention scheme.", metavar="NAME")
    ] = "divided_space_time",
    validation: Annotated[
        Path | None,
        options.file("Videos to evaluate on after each epoch, as VIDEOS.", metavar="VIDEOS"),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="paper; paper-ssv2 for labels that distinguish left from right; small for tens or "
            "hundreds of videos."
        ),
    ] = "paper",
    epochs: Annotated[int | None, number("Length of the run, instead of the recipe's.")] = None,
    steps: Annotated[int | None, number("Length of the run in steps, instead of epochs.")] = None,
    batch: Annotated[
        int | None,
        number("Clips per step, on all devices together; the learning rate changes in proportion."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest learning rate of the run.", metavar="RATE")
    ] = None,
    clip_norm: Annotated[
        float | None, typer.Option(help="Scale larger gradients down to this norm.", metavar="NORM")
    ] = None,
    accumulate: Annotated[int, number("Compute each step in N parts, to save memory.")] = 1,
    mixed_precision: Annotated[
        Precision | None,
        typer.Option(help="Arithmetic; by default what Accelerate was launched with, or no."),
    ] = None,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute", help="Recompute activations in the backward pass, to save memory."
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard too.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of all random numbers.", min=0, max=2**32 - 1, metavar="N")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last save in RUN, if there is one.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove what another run has left in RUN.")
    ] = False,
    save_every: Annotated[int, number("Save the run every N steps.")] = 200,
    most_unreadable: Annotated[
        float,
        typer.Option(
            help="Where more than this part of the videos cannot be read, the run ends.",
            min=0,
            max=1,
            metavar="PART",
        ),
    ] = 0.05,
    workers: WorkersOption = WORKERS,
    *,
    given: options.Input,
) -> None:
    """Fine-tune a checkpoint, or an image ViT's weights, on your own videos.

    For example: timesformer-ref train videos/ -c facebook/timesformer-base-finetuned-k400 --out run

    On several GPUs: accelerate launch -m timesformer_ref train …, or torchrun. RUN will hold
    last.safetensors and best.safetensors, which the other commands read, the log and pictures.
    """
    require("train", *NEEDED)
    if tensorboard:
        require("tensorboard", "tensorboard")
    from timesformer_ref.input.decoding import DisplayWarning
    from timesformer_ref.training.checkpointing import checkpoint_blocks
    from timesformer_ref.training.clips import EvaluationViews, TrainingClips, Unreadable
    from timesformer_ref.training.folder import as_begun, find_videos
    from timesformer_ref.training.inventory import take_stock
    from timesformer_ref.training.loop import STATE, UNREADABLE, empty_folder
    from timesformer_ref.training.loop import train as run_training
    from timesformer_ref.training.plan import plan_run
    from timesformer_ref.training.reporter import Reporter
    from timesformer_ref.training.starting import model_to_train
    from timesformer_ref.training.state import read_settings
    from timesformer_ref.training.tables import aligned, shortened

    given.asked()  # before anything is read
    unreadable = Unreadable(run / UNREADABLE)
    if resume and overwrite:
        raise typer.BadParameter("--resume continues what --overwrite removes: give one of them")
    with progress_bar() as progress, wrong_use(), plain_errors(), ExitStack() as stack:
        chosen = choose_recipe(recipe, epochs, steps, batch, learning_rate, clip_norm)
        if (checkpoint is None) == (image_vit is None):
            raise typer.BadParameter("give --checkpoint or --image-vit: what to start from")
        begun = read_settings(run / STATE) if resume and (run / STATE).exists() else {}
        found = find_videos(videos, begun.get("classes"))
        held_out = find_videos(validation, found.classes) if validation else None
        found, gone = as_begun(found, begun.get("videos", found.listed))
        if gone:
            err.print(f"warning: {len(gone)} videos have gone since, such as {gone[0]}")
        start, input_ = _start(found, checkpoint, image_vit, scheme, given, seed)
        model = model_to_train(start, input_, chosen)
        plan: list[str] = []
        if is_main(local=True):
            warnings.simplefilter("ignore", DisplayWarning)  # the table counts them
            parts = {"training": found} | ({"validation": held_out} if held_out else {})
            clips = count_steps(chosen, len(found.paths)) * chosen.batch_size
            plan = aligned(take_stock(parts, most_unreadable, clips, progress.track))
            how = accumulate, mixed_precision, recompute
            plan += plan_run(model.config, chosen, len(found.paths), *how)
            out.print(printable("\n".join(shortened(plan))))
        if recompute:
            checkpoint_blocks(model)
        if overwrite and is_main():
            empty_folder(run)
        reporter = Reporter(
            progress,
            lambda text: out.print(printable(text)),
            run,
            found.classes,
            videos=held_out.names if held_out else (),
            plan=plan,
            batch=chosen.batch_size,
            stopped=stack.enter_context(signals_collected()),
            most_unreadable=most_unreadable * len(found.paths),
        )
        history = run_training(
            model,
            TrainingClips(found, input_, chosen, seed, unreadable),
            chosen,
            seed=seed,
            validation=held_out and EvaluationViews(held_out, input_, unreadable=unreadable),
            evaluate_every=chosen.steps and -(-chosen.steps // EVALUATIONS),
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


def choose_recipe(
    name: str,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    learning_rate: float | None,
    clip_norm: float | None = None,
) -> Recipe:
    """The named recipe with the user's changes; the learning rate changes with the batch.

    Raises ValueError for an unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown: use {' or '.join(RECIPES)}")
    named = RECIPES[name]
    if batch and learning_rate is None:
        learning_rate = named.learning_rate * batch / named.batch_size
    given = {"batch_size": batch, "learning_rate": learning_rate, "clip_norm": clip_norm}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if epochs or steps:
        asked |= {"epochs": epochs, "steps": steps}
    return replace(named, **asked)


def _start(
    videos: Videos,
    checkpoint: str | None,
    image_vit: Path | None,
    scheme: str,
    given: options.Input,
    seed: int,
) -> tuple[Checkpoint, Preprocessing]:
    """The checkpoint to start from, with the videos' classes, and its preprocessing."""
    from timesformer_ref.checkpoints import load_checkpoint
    from timesformer_ref.training.starting import from_image_vit, with_classes

    geometry: dict[str, Any] = {"image_size": given.crop, "num_attention_heads": given.heads}
    if image_vit:
        geometry |= {"attention_type": scheme, "num_frames": given.frames or 8}
        start = from_image_vit(image_vit, videos.classes, seed, **geometry)
    else:
        loaded = load_checkpoint(checkpoint or "", num_frames=given.frames, **geometry)
        start = with_classes(loaded, videos.classes, seed)
    return start, given.choose(start)


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

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
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
