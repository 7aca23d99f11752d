"""What the worked examples print: each file of `docs/examples` runs, and its output is kept."""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(file.stem for file in FOLDER.glob("*.py"))


def write_output(name: str, folder: Path) -> None:
    """Run an example as a program, and keep what it prints in `NAME.txt`.

    Raises what the example raises. It changes its process, which is the example's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    example = FOLDER / f"{name}.py"
    os.environ |= {"COLUMNS": "88", "NO_COLOR": "1"}
    sys.argv, sys.path[0] = [str(example)], str(FOLDER)
    transcript = folder / f"{name}.txt"
    with open(transcript, "w", encoding="utf-8") as output, redirect_stdout(output):
        runpy.run_path(str(example), run_name="__main__")
