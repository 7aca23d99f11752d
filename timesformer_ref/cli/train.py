"""`timesformer-ref train`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, progress_bar, require, wrong_use

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from rich.progress import Progress

    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.input.preprocessing import Preprocessing
    from timesformer_ref.training.folder import Videos
    from timesformer_ref.training.loop import Report
    from timesformer_ref.training.recipe import Recipe


EVALUATIONS = 10
"""Number of evaluations of a run without epochs."""


MixedPrecision = Literal["no", "bf16", "fp16"]
"""The arithmetic of most products in training; weights stay float32."""

VIDEOS = typer.Argument(
    help="A folder with one folder of videos per class, or a CSV file of path,label.",
    metavar="VIDEOS",
)
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Processes that read videos, per device; by default up to 4, one per processor.",
        min=0,
        metavar="N",
    ),
]


@options.takes_input
def train(
    run: Annotated[
        Path,
        typer.Option("--out", help="The folder for everything that the run writes.", metavar="RUN"),
    ],
    videos: Annotated[Path | None, VIDEOS] = None,
    checkpoint: options.CheckpointOption = None,
    image_vit: Annotated[
        Path | None,
        typer.Option(
            help="Start from an image ViT instead: its weights, as in timm.", metavar="FILE"
        ),
    ] = None,
    scheme: Annotated[
        str, typer.Option(help="With --image-vit: the attention scheme.", metavar="NAME")
    ] = "divided_space_time",
    validation: Annotated[
        Path | None,
        typer.Option(help="Videos to evaluate on after each epoch, as VIDEOS.", metavar="VIDEOS"),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="paper, paper-ssv2 (no mirrored clips), or camera-motion, which makes its own "
            "clips and model and takes no VIDEOS."
        ),
    ] = "paper",
    epochs: Annotated[
        int | None,
        typer.Option(help="Length of the run, instead of the recipe's.", min=1, metavar="N"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Length of the run in steps, instead of epochs.", min=1, metavar="N"),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Clips per step, on all devices together.", min=1, metavar="N"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest learning rate of the run.", metavar="RATE")
    ] = None,
    accumulate: Annotated[
        int,
        typer.Option(help="Compute each step in N parts, to save memory.", min=1, metavar="N"),
    ] = 1,
    mixed_precision: Annotated[
        MixedPrecision | None,
        typer.Option(help="Arithmetic; by default what Accelerate was launched with, or no."),
    ] = None,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute", help="Recompute activations in the backward pass, to save memory."
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(help="Seed of all random numbers.", min=0, max=2**32 - 1, metavar="N"),
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last save in RUN, if there is one.")
    ] = False,
    save_every: Annotated[
        int, typer.Option(help="Save the run every N steps.", min=1, metavar="N")
    ] = 200,
    workers: WorkersOption = None,
    *,
    given: options.VideoInput,
) -> None:
    """Fine-tune a checkpoint, or an image ViT's weights, on your own videos.

    For example: timesformer-ref train videos/ -c facebook/timesformer-base-finetuned-k400 --out run

    On several GPUs: accelerate launch -m timesformer_ref train …, or torchrun. RUN will hold
    last.safetensors and best.safetensors, which the other commands read, the log and pictures.
    """
    require_training()
    from timesformer_ref.camera_motion.job import CAMERA_MOTION, camera_motion_job
    from timesformer_ref.training import jobs
    from timesformer_ref.training.checkpointing import checkpoint_blocks
    from timesformer_ref.training.folder import find_videos
    from timesformer_ref.training.loop import train as run_training

    asked = given.asked()
    with progress_bar() as progress, wrong_use(), plain_errors():
        chosen = choose_recipe(recipe, epochs, steps, batch, learning_rate)
        if recipe == CAMERA_MOTION:
            unused = (videos, checkpoint, image_vit, validation, given.variant, given.heads)
            if asked or any(one is not None for one in unused):
                raise typer.BadParameter(
                    "--recipe camera-motion makes its own clips and model: leave out VIDEOS, "
                    "--validation, what to start from, and the options of the input"
                )
            job = camera_motion_job(chosen, seed)
        else:
            if videos is None:
                raise typer.BadParameter(
                    "give VIDEOS: a folder with one folder per class, or a CSV file"
                )
            if (checkpoint is None) == (image_vit is None):
                raise typer.BadParameter("give --checkpoint or --image-vit: what to start from")
            found = find_videos(videos)
            held_out = find_videos(validation, found.classes) if validation else None
            start = _start(found, checkpoint, image_vit, scheme, given, seed)
            _check(progress, found, held_out)
            job = jobs.fine_tuning(*start, found, held_out, chosen, seed)
        if recompute:
            checkpoint_blocks(job.model)
        run_training(
            job.model,
            job.source,
            chosen,
            seed=seed,
            validation=job.validation,
            evaluate_every=chosen.steps and -(-chosen.steps // EVALUATIONS),
            out=run,
            resume=resume,
            save_every=save_every,
            settings=job.settings,
            accumulate=accumulate,
            mixed_precision=mixed_precision,
            workers=count_workers(workers),
            report=reporter(progress, run, job.model.labels or ()),
        )
    finish(run)


def require_training() -> None:
    """Exit with a line that names what to install if the extra `train` is missing."""
    require("train", "accelerate", "matplotlib")


def count_workers(asked: int | None) -> int:
    """The number of processes that read videos."""
    return min(4, os.cpu_count() or 1) if asked is None else asked


def choose_recipe(
    name: str,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    learning_rate: float | None,
) -> Recipe:
    """The named recipe with the user's changes. Raises ValueError for an unknown name."""
    from timesformer_ref.camera_motion.job import CAMERA_MOTION, RECIPE
    from timesformer_ref.training.recipe import RECIPES

    recipes = RECIPES | {CAMERA_MOTION: RECIPE}
    if name not in recipes:
        raise ValueError(f"recipe {name!r} is unknown: use {' or '.join(recipes)}")
    given: dict[str, Any] = {"batch_size": batch, "learning_rate": learning_rate}
    asked = {name: value for name, value in given.items() if value is not None}
    if epochs or steps:
        asked |= {"epochs": epochs, "steps": steps}
    return replace(recipes[name], **asked)


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

    if image_vit:
        start = from_image_vit(
            image_vit,
            videos.classes,
            seed,
            attention_type=scheme,
            num_frames=given.frames or 8,
            image_size=given.crop,
            num_attention_heads=given.heads,
        )
        return start, given.choose(start)
    start = load_checkpoint(
        checkpoint or "",
        num_frames=given.frames,
        image_size=given.crop,
        num_attention_heads=given.heads,
    )
    return with_classes(start, videos.classes, seed), given.choose(start)


def _check(progress: Progress, *lists: Videos | None) -> None:
    """Open every video once, in one process of each machine."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    from timesformer_ref.training.folder import check_videos

    if PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).is_local_main_process:
        for videos in filter(None, lists):
            task = progress.add_task("opening the videos", total=len(videos.paths))
            check_videos(videos, partial(progress.advance, task))
            progress.remove_task(task)


def reporter(progress: Progress, run: Path, classes: tuple[str, ...]) -> Callable[[Report], None]:
    """Show a run's progress: a bar, and one line and pictures per evaluation."""
    from timesformer_ref.training.loop import LOG
    from timesformer_ref.training.pictures import draw_confusion, draw_run, write_confusion

    task = progress.add_task("the first step", total=None)

    def report(latest: Report) -> None:
        progress.update(
            task,
            description=f"step {latest.step} of {latest.steps}, loss {latest.loss:.3f}",
            completed=latest.step,
            total=latest.steps,
        )
        found = latest.evaluation
        if found:
            out.print(f"step {latest.step}: {found}" + ", the best yet" * latest.best)
            if latest.best:
                draw_confusion(found.confusion, classes, run / "confusion.png")
                write_confusion(found.confusion, classes, run / "confusion.csv")
            draw_run(run / LOG, run / "losses.png")

    return report


def finish(run: Path) -> None:
    """Draw the whole run, and name the files that it wrote."""
    from accelerate import PartialState

    from timesformer_ref.training.loop import BEST, LAST, LOG
    from timesformer_ref.training.pictures import draw_run

    if PartialState().is_main_process:
        draw_run(run / LOG, run / "losses.png")
        names = [name for name in (LAST, BEST, LOG, "losses.png") if (run / name).exists()]
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
