"""Many videos: a list of them, those that fail, and results in a file, which a run goes on with."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape

from timesformer_ref.cli import options
from timesformer_ref.cli.console import as_line, err, is_ours, out, progress_bar, require, wrong_use

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from accelerate import Accelerator

    from timesformer_ref.use.results import Results

ListOption = Annotated[
    Path | None,
    options.file(
        "More videos: a file with one path per line, or a .csv file with paths in column 1. Paths "
        "are relative to that file's folder.",
        "--list",
    ),
]
RetryOption = Annotated[bool, options.flag("--retry", "Try again videos that failed before.")]

Answer = TypeVar("Answer")


def find_files(videos: Sequence[Path], listed: Path | None) -> list[Path]:
    """The given and the listed files, with each folder replaced by the videos in it, by name."""
    files: list[Path] = []
    for video in [*videos, *(read_list(listed) if listed else ())]:
        if not video.is_dir():
            files.append(video)
            continue
        from timesformer_ref.input.folders import videos_in, warn_of_others  # slow

        inside, others = videos_in(video)
        warn_of_others(video, others)
        if not inside:
            raise typer.BadParameter(f"{video}: no video file in this folder itself")
        files += inside
    if not files:
        raise typer.BadParameter("no video: name VIDEO or a --list of them")
    return files


def read_list(path: Path) -> list[Path]:
    """The paths in a file: one per line, or the first column of a CSV file, beside its header."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file) if path.suffix.lower() == ".csv" else ([line] for line in file)
            names = [row[0].strip() for row in rows if row and row[0].strip()]
    except (OSError, csv.Error) as error:
        raise typer.BadParameter(f"--list {path}: is not readable ({error})") from error
    if path.suffix.lower() == ".csv" and names and names[0].lower() == "path":
        del names[0]
    return [path.parent / name for name in names]


def work_through(
    files: Sequence[Path],
    work: Callable[[Path, Callable[[float], None]], Answer],
    show: Callable[[Answer], None],
    results: "Results | None" = None,
) -> int:
    """Do the work for each video and show its answer; return how many failed.

    work: takes the file and `progress`, as `Classifier` does.
    A failure is a line on standard error, and in the results. Without results, an error that was
    not foreseen ends the rest too.
    """
    failed = 0
    with progress_bar() as progress:
        task = progress.add_task("", total=len(files))
        for number, file in enumerate(files):
            progress.update(task, description=escape(file.name), completed=number)
            try:
                with wrong_use():
                    answer = work(file, partial(progress.advance, task))
            except typer.BadParameter:
                raise
            except Exception as error:
                if not results and not is_ours(error):
                    raise
                failed += 1
                err.print(line := as_line(error))
                if results:
                    results.add(str(file), error=line.removeprefix("error: "))
            else:
                show(answer)
    return failed


@contextmanager
def results_in(
    path: Path, settings: dict[str, Any], files: Sequence[Path], retry: bool
) -> Iterator[tuple["Results", list[Path]]]:
    """Results in a file, and those of the files that are left to do for this process.

    At the end they are put in order, in whatever order processes came to them.
    """
    from timesformer_ref.use.results import Results

    options.check_replaced(path, files)
    files = list(dict.fromkeys(files))
    every = launched()
    wait = every.wait_for_everyone if every else lambda: None
    part = every.process_index if every else 0
    with closing(Results(path, settings, part)) as results:
        if part == 0:
            results.gather()
        wait()
        done = {video for video, found in results.read().items() if found or not retry}
        wait()  # before any process writes
        left = [file for file in files if str(file) not in done]
        with every.split_between_processes(left) if every else nullcontext(left) as mine:
            yield results, mine
        wait()
        if part > 0:
            return
        results.gather()
        results.arrange([str(file) for file in files])
        found = results.read().values()
    failed = len(found) - sum(found)
    out.print(f"{path}: {len(found)} videos" + f", {failed} failed (--retry)" * bool(failed))
    if failed:
        raise typer.Exit(1)


def launched() -> "Accelerator | None":
    """Accelerate's view of this process, where a launcher started several, each with a device."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return None
    require("train", "accelerate")
    from accelerate import Accelerator, InitProcessGroupKwargs

    from timesformer_ref.training.evaluate import check_together

    for_the_slowest = InitProcessGroupKwargs(timeout=timedelta(days=99))
    accelerator = Accelerator(kwargs_handlers=[for_the_slowest])
    check_together(accelerator)
    return accelerator


def own_device(asked: str) -> str:
    """The device to compute on: the one asked for, or the one that a launcher gave this process."""
    accelerator = launched()
    return str(accelerator.device) if accelerator else options.check_device(asked)
