"""`timesformer-ref train`."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, printable, progress_bar, require, wrong_use
from timesformer_ref.cli.options import number
from timesformer_ref.training.recipe import RECIPES, Precision, Recipe, count_steps

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from rich.progress import Progress

    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.input.preprocessing import Preprocessing
    from timesformer_ref.training.clips import Unreadable
    from timesformer_ref.training.folder import Videos
    from timesformer_ref.training.loop import Report
    from timesformer_ref.training.state import History


EVALUATIONS = 10
"""Number of evaluations of a run without epochs."""
LINE_EVERY = 60.0
"""Seconds between the lines of a run whose output is no terminal."""
FEW_STEPS = 100
"""Fewer steps than this hardly teach anything."""


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
    batch: Annotated[int | None, number("Clips per step, on all devices together.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest learning rate of the run.", metavar="RATE")
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
    from timesformer_ref.training.checkpointing import checkpoint_blocks
    from timesformer_ref.training.clips import EvaluationViews, TrainingClips, Unreadable
    from timesformer_ref.training.folder import as_begun, find_videos
    from timesformer_ref.training.loop import FILES, STATE, UNREADABLE
    from timesformer_ref.training.loop import train as run_training
    from timesformer_ref.training.starting import model_to_train
    from timesformer_ref.training.state import read_settings

    given.asked()  # before anything is read
    unreadable = Unreadable(run / UNREADABLE)
    if resume and overwrite:
        raise typer.BadParameter("--resume continues what --overwrite removes: give one of them")
    with progress_bar() as progress, wrong_use(), plain_errors(), ExitStack() as stack:
        chosen = choose_recipe(recipe, epochs, steps, batch, learning_rate)
        if (checkpoint is None) == (image_vit is None):
            raise typer.BadParameter("give --checkpoint or --image-vit: what to start from")
        begun = read_settings(run / STATE) if resume and (run / STATE).exists() else {}
        found = find_videos(videos, begun.get("classes"))
        held_out = find_videos(validation, found.classes) if validation else None
        found, gone = as_begun(found, begun.get("videos", found.listed))
        if gone:
            err.print(f"warning: {len(gone)} videos have gone since, such as {gone[0]}")
        start, input_ = _start(found, checkpoint, image_vit, scheme, given, seed)
        if is_main(local=True):
            take_stock(progress, found, held_out, most_unreadable)
            print_plan(chosen, len(found.paths), accumulate)
        model = model_to_train(start, input_, chosen)
        if recompute:
            checkpoint_blocks(model)
        if overwrite and is_main():
            for name in FILES:
                (run / name).unlink(missing_ok=True)
        most = most_unreadable * len(found.paths)
        stopped = stack.enter_context(signals_collected())
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
            workers=workers,
            report=reporter(progress, run, found.classes, stopped, unreadable, most),
        )
    finish(run, history)


def choose_recipe(
    name: str, epochs: int | None, steps: int | None, batch: int | None, learning_rate: float | None
) -> Recipe:
    """The named recipe with the user's changes. Raises ValueError for an unknown name."""
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown: use {' or '.join(RECIPES)}")
    given: dict[str, Any] = {"batch_size": batch, "learning_rate": learning_rate}
    asked = {name: value for name, value in given.items() if value is not None}
    if epochs or steps:
        asked |= {"epochs": epochs, "steps": steps}
    return replace(RECIPES[name], **asked)


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


def take_stock(
    progress: Progress, training: Videos, validation: Videos | None, most: float
) -> None:
    """Look at every video once, and print what there is.

    Raises VideoError where more than this part cannot be read.
    """
    from timesformer_ref.input.decoding import DisplayWarning, VideoError
    from timesformer_ref.training.inventory import describe, look_at_all, warn_of_copies

    warnings.simplefilter("ignore", DisplayWarning)  # a line here instead of one per video
    parts = {"training": training} | ({"validation": validation} if validation else {})
    looks = {}
    for part, videos in parts.items():
        task = progress.add_task(f"looking at the {part} videos", total=len(videos.paths))
        looks[part] = look_at_all(videos, partial(progress.advance, task))
        progress.remove_task(task)
        out.print(printable(f"{part}: {describe(videos, looks[part])}"))
        broken = [str(seen) for seen in looks[part] if isinstance(seen, VideoError)]
        if len(broken) > most * len(videos.paths):
            more = f" (and {len(broken) - 1} more videos)" if len(broken) > 1 else ""
            raise VideoError(f"{broken[0]}{more}")
        for line in broken:
            err.print(printable(f"warning: {line}"))
    if validation:
        unseen = {training.classes[n] for n in set(training.labels) ^ set(validation.labels)}
        if unseen:
            err.print(f"warning: in training or validation only: {', '.join(sorted(unseen))}")
    warn_of_copies(parts, looks)


def print_plan(recipe: Recipe, videos: int, accumulate: int) -> None:
    """Print how long the run is; warn where it is too short to learn much."""
    from accelerate import PartialState

    steps, state = count_steps(recipe, videos), PartialState()
    shared = recipe.batch_size // state.num_processes // accumulate
    epochs = recipe.epochs or steps * recipe.batch_size / videos
    out.print(
        f"{epochs:.3g} epochs are {steps} steps of {recipe.batch_size} clips ({shared} at once x "
        f"{accumulate} x {state.num_processes} processes), on {state.device}"
    )
    if steps < FEW_STEPS and recipe.epochs:
        smaller = max(1, recipe.epochs * videos // FEW_STEPS)
        rate = recipe.learning_rate * smaller / recipe.batch_size
        err.print(
            f"warning: {steps} steps teach little: with so few videos use --recipe small, or "
            f"--batch {smaller} --learning-rate {rate:.2g}, or more --epochs"
        )


def reporter(
    progress: Progress,
    run: Path,
    classes: tuple[str, ...],
    stopped: Sequence[str] = (),
    unreadable: Unreadable | None = None,
    most: float = 0,
) -> Callable[[Report], str | None]:
    """Show a run's progress: a bar or lines of a log, and a line and pictures per evaluation.

    stopped: why the run is to stop, where it is. most: number of unreadable videos at which it is.
    """
    from timesformer_ref.training.loop import LOG, UNREADABLE
    from timesformer_ref.training.pictures import draw_confusion, draw_run
    from timesformer_ref.training.tables import write_confusion

    task = progress.add_task("the first step", total=None)
    began, last, first = time.monotonic(), time.monotonic(), 0
    named: set[str] = set()

    def report(latest: Report) -> str | None:
        nonlocal last, first
        first = first or latest.step
        line = f"step {latest.step} of {latest.steps}, loss {latest.loss:.3f}"
        progress.update(task, description=line, completed=latest.step, total=latest.steps)
        now = time.monotonic()
        if progress.disable and now - last > LINE_EVERY:
            pace = (now - began) / (latest.step - first + 1)
            left = timedelta(seconds=round(pace * (latest.steps - latest.step)))
            err.print(f"{line}, rate {latest.learning_rate:.2g}, {pace:.2f} s a step, {left} left")
            last = now
        found = latest.evaluation
        if found:
            out.print(f"step {latest.step}: {found}" + ", the best yet" * latest.best)
            if latest.best:
                draw_confusion(found.confusion, classes, run / "confusion.png")
                write_confusion(found, classes, run / "confusion.csv")
            draw_run(run / LOG, run / "losses.png")
        broken = unreadable.read() if unreadable else {}
        for video in broken.keys() - named:
            err.print(printable(f"warning: {broken[video]}; another video was taken"))
        named.update(broken)
        if len(broken) > most:
            return f"{len(broken)} videos cannot be read (see {UNREADABLE} in {run})"
        return stopped[0] if stopped else None

    return report


@contextmanager
def signals_collected() -> Iterator[list[str]]:
    """Note Ctrl-C and SIGTERM: a run ends saved, after its step; a second one ends it at once."""
    received: list[str] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
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


def finish(run: Path, history: History) -> None:
    """Draw the whole run, and name its best step, the files that it wrote and what may be next."""
    from timesformer_ref.training.loop import BEST, LAST, LOG
    from timesformer_ref.training.pictures import draw_run

    if not is_main():
        return
    draw_run(run / LOG, run / "losses.png")
    names = [name for name in (LAST, BEST, LOG, "losses.png") if (run / name).exists()]
    if history.best:
        out.print(
            f"best: step {history.best}, top-1 {100 * history.scores[history.best]['top1']:.1f} %"
        )
    out.print(
        f"next: timesformer-ref classify VIDEO --checkpoint {run / names[min(1, len(names) - 1)]}"
    )
    out.print(f"{run}: {', '.join(names)}")


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
