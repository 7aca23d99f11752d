"""`timesformer-ref train`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, progress_bar, require, wrong_use

if TYPE_CHECKING:  # what is slow to import waits until a command needs it
    from rich.progress import Progress

    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.preprocessing import Preprocessing
    from timesformer_ref.training.folder import Videos
    from timesformer_ref.training.loop import Report
    from timesformer_ref.training.recipe import Recipe


EVALUATIONS = 10
"""How often a run without epochs is evaluated."""


class MixedPrecision(StrEnum):
    """The arithmetic of most products in training; weights stay float32."""

    no = "no"
    bf16 = "bf16"
    fp16 = "fp16"


VideosArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A folder that has a folder of videos for each class, or a CSV file of path,label.",
        metavar="VIDEOS",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Processes that read videos, for each device; else 4, or a processor each.",
        min=0,
        metavar="N",
    ),
]


def train(
    run: Annotated[
        Path, typer.Option("--out", help="The run's folder, for all that it writes.", metavar="RUN")
    ],
    videos: VideosArgument = None,
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
        typer.Option(help="Videos to evaluate after each epoch, as VIDEOS.", metavar="VIDEOS"),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="paper, paper-ssv2 (no mirrored clips), or camera-motion, which makes its own "
            "clips and model and takes no VIDEOS."
        ),
    ] = "paper",
    epochs: Annotated[
        int | None, typer.Option(help="Instead of the recipe's.", min=1, metavar="N")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Instead of epochs.", min=1, metavar="N")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Clips a step, on all devices together.", min=1, metavar="N"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest of the run.", metavar="RATE")
    ] = None,
    accumulate: Annotated[
        int,
        typer.Option(help="Cut a step's clips into N parts, to spare memory.", min=1, metavar="N"),
    ] = 1,
    mixed_precision: Annotated[
        MixedPrecision | None,
        typer.Option(help="Else what Accelerate was started with, or no."),
    ] = None,
    recompute: Annotated[
        bool,
        typer.Option("--recompute", help="Compute each block twice, to spare memory."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0, metavar="N")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last save in RUN, if there is one.")
    ] = False,
    save_every: Annotated[
        int, typer.Option(help="Save the run every N steps.", min=1, metavar="N")
    ] = 200,
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
    """Fine-tune a checkpoint, or an image ViT's weights, on your own videos.

    For example: timesformer-ref train videos/ -c facebook/timesformer-base-finetuned-k400 --out run

    On several GPUs: accelerate launch -m timesformer_ref train …, or torchrun. RUN will hold
    last.safetensors and best.safetensors, which the other commands read, the log and pictures.
    """
    require_training()
    from timesformer_ref.training import jobs
    from timesformer_ref.training.checkpointing import checkpoint_blocks
    from timesformer_ref.training.folder import find_videos
    from timesformer_ref.training.loop import train as run_training

    asked = options.asked_for(frames, rate, crop, mean, std, channel_order)
    with progress_bar() as progress, wrong_use(), plain_errors():
        chosen = choose_recipe(recipe, epochs, steps, batch, learning_rate)
        if recipe == jobs.CAMERA_MOTION:
            _refuse(videos, checkpoint, image_vit, validation, variant, heads, *asked.values())
            job = jobs.camera_motion(chosen, seed)
        else:
            if videos is None:
                raise typer.BadParameter("give VIDEOS: a folder with one a class, or a CSV file")
            if (checkpoint is None) == (image_vit is None):
                raise typer.BadParameter("give --checkpoint or --image-vit: what to start from")
            found = find_videos(videos)
            held_out = find_videos(validation, found.classes) if validation else None
            start = _start(found, checkpoint, image_vit, scheme, variant, asked, heads, seed)
            _check(progress, found, held_out)
            job = jobs.fine_tuning(*start, found, held_out, chosen, seed, pixels.value)
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
            mixed_precision=mixed_precision.value if mixed_precision else None,
            workers=count_workers(workers),
            report=reporter(progress, run, job.model.labels or ()),
        )
    finish(run)


def require_training() -> None:
    """Leave with a line that says what to install, where the extra `train` is missing."""
    require("train", "accelerate", "matplotlib")


def count_workers(asked: int | None) -> int:
    """How many processes read videos."""
    return min(4, os.cpu_count() or 1) if asked is None else asked


def choose_recipe(
    name: str,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    learning_rate: float | None,
) -> Recipe:
    """The named recipe with what the user gave in place of its own. Raises ValueError."""
    from timesformer_ref.training.recipe import RECIPES

    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown: use {' or '.join(RECIPES)}")
    given: dict[str, Any] = {"batch_size": batch, "learning_rate": learning_rate}
    asked = {name: value for name, value in given.items() if value is not None}
    if epochs or steps:
        asked |= {"epochs": epochs, "steps": steps}
    return replace(RECIPES[name], **asked)


def _refuse(*given: object) -> None:
    """Leave where something is given that a recipe with clips of its own has no use for."""
    if any(one is not None for one in given):
        raise typer.BadParameter(
            "--recipe camera-motion makes its own clips and starts from nothing: leave out VIDEOS, "
            "--validation, what to start from, and what the input is"
        )


def _start(
    videos: Videos,
    checkpoint: str | None,
    image_vit: Path | None,
    scheme: str,
    variant: str | None,
    asked: dict[str, Any],
    heads: int | None,
    seed: int,
) -> tuple[Checkpoint, Preprocessing]:
    """The weights to start from, with the videos' classes, and what their input is to be."""
    from timesformer_ref.checkpoints import load_checkpoint
    from timesformer_ref.training.starting import from_image_vit, with_classes

    frames, crop = asked.get("num_frames"), asked.get("crop")
    if image_vit:
        start = from_image_vit(
            image_vit,
            videos.classes,
            seed,
            attention_type=scheme,
            num_frames=frames or 8,
            image_size=crop,
            num_attention_heads=heads,
        )
        return start, options.choose_input(start, variant, asked)
    start = load_checkpoint(
        checkpoint or "", num_frames=frames, image_size=crop, num_attention_heads=heads
    )
    return with_classes(start, videos.classes, seed), options.choose_input(start, variant, asked)


def _check(progress: Progress, *lists: Videos | None) -> None:
    """Open every video once, on one process of each machine."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    from timesformer_ref.training.folder import check_videos

    if PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).is_local_main_process:
        for videos in filter(None, lists):
            task = progress.add_task("opening the videos", total=len(videos.paths))
            check_videos(videos, partial(progress.advance, task))
            progress.remove_task(task)


def reporter(progress: Progress, run: Path, classes: tuple[str, ...]) -> Callable[[Report], None]:
    """Show a run as it goes: a bar, a line and pictures for each evaluation."""
    from timesformer_ref.training.loop import LOG
    from timesformer_ref.training.pictures import draw_confusion, draw_run, write_confusion

    task = progress.add_task("the first step", total=None)

    def report(told: Report) -> None:
        progress.update(
            task,
            description=f"step {told.step} of {told.steps}, loss {told.loss:.3f}",
            completed=told.step,
            total=told.steps,
        )
        found = told.evaluation
        if found:
            line = (
                f"step {told.step}: top-1 {100 * found.top1:.1f} %, top-5 {100 * found.top5:.1f} %"
            )
            out.print(f"{line}, loss {found.loss:.3f}" + ", the best yet" * told.best)
        if found and told.best:
            draw_confusion(found.confusion, classes, run / "confusion.png")
            write_confusion(found.confusion, classes, run / "confusion.csv")
        if found:
            draw_run(run / LOG, run / "losses.png")

    return report


def finish(run: Path) -> None:
    """Draw the whole run, and tell what there is."""
    from accelerate import PartialState

    from timesformer_ref.training.loop import BEST, LAST, LOG
    from timesformer_ref.training.pictures import draw_run

    if PartialState().is_main_process:
        draw_run(run / LOG, run / "losses.png")
        names = [name for name in (LAST, BEST, LOG, "losses.png") if (run / name).exists()]
        out.print(f"{run}: {', '.join(names)}")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell what was wrong with a video as it is told where no other process reads it."""
    from timesformer_ref.decoding import VideoError

    try:
        yield
    except (VideoError, ValueError) as error:
        if "DataLoader worker" not in str(error):
            raise
        last = str(error).strip().splitlines()[-1]
        raise type(error)(last.partition("Error: ")[2]) from error
