"""What the worked examples print: each file of `docs/examples` runs, and its output is kept."""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def write_outputs(folder: Path) -> None:
    """Run every example and write `NAME.txt`. Raises what an example raises.

    Each is a process of its own, with PyTorch imported already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = [(file, folder / f"{file.stem}.txt") for file in sorted(EXAMPLES.glob("*.py"))]
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        pool.starmap(write_output, runs, chunksize=1)


def write_output(example: Path, transcript: Path) -> None:
    """Run an example as a program, and keep what it prints."""
    os.environ |= {"COLUMNS": "88", "NO_COLOR": "1"}
    torch.set_num_threads(1)
    sys.argv, sys.path[0] = [str(example)], str(EXAMPLES)
    with open(transcript, "w", encoding="utf-8") as output, redirect_stdout(output):
        runpy.run_path(str(example), run_name="__main__")
