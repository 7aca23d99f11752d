"""`timesformer-ref experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timesformer_ref.cli.console import out, progress_bar
from timesformer_ref.cli.train import require_training


def experiment(
    data: Annotated[Path, typer.Argument(help="The file for the results, JSON.", metavar="FILE")],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Smaller models and clips: five minutes instead of an hour."),
    ] = False,
) -> None:
    """Compare the five attention schemes on a task of appearance and on one of motion.

    For example: timesformer-ref experiment results.json --quick

    A second call with the same file continues after the last model that was fully trained.
    """
    require_training()
    from timesformer_ref.camera_motion.ablation.run import run_ablation

    with progress_bar() as bar:
        task = bar.add_task("the first step", total=1.0)
        results = run_ablation(
            data, quick, lambda what, part: bar.update(task, description=what, completed=part)
        )
    for run in results["runs"]:
        place = f"{run['task']}, {run['attention_type']}, positions {run['positions']}"
        out.print(f"{100 * run['top1']:5.1f} %  {place}, time embedding from {run['time_start']}")
    out.print(f"{data}: the results")
