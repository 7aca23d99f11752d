"""`timesformer-ref experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timesformer_ref.cli.console import out, progress_bar
from timesformer_ref.cli.train import require_training


def experiment(
    folder: Annotated[
        Path, typer.Argument(help="Where the page, its pictures and data go.", metavar="FOLDER")
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Smaller models and clips: five minutes instead of an hour."),
    ] = False,
) -> None:
    """Compare the five attention schemes on what a frame tells and on what only frame order does.

    For example: timesformer-ref experiment results --quick

    FOLDER will hold experiment.md, and experiment/ with results.json and the pictures. Called
    again, it goes on after the last model that was trained to its end.
    """
    require_training()
    from timesformer_ref.camera_motion.ablation.conduct import conduct

    with progress_bar() as bar:
        task = bar.add_task("the first step", total=1.0)
        page = conduct(
            folder, quick, lambda what, part: bar.update(task, description=what, completed=part)
        )
    out.print(f"{page}: the page; {page.with_suffix('')}: its pictures and data")
