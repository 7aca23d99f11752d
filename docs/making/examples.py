"""What the worked examples print: each file of `docs/examples` runs, and its output is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def write_outputs(folder: Path) -> None:
    """Run every example and write `NAME.txt`. Raises CalledProcessError where one fails."""
    folder.mkdir(parents=True, exist_ok=True)
    for example in sorted(EXAMPLES.glob("*.py")):
        done = subprocess.run(
            [sys.executable, str(example)], stdout=subprocess.PIPE, text=True, check=True,
            env=os.environ | {"COLUMNS": "88", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        (folder / f"{example.stem}.txt").write_text(done.stdout, encoding="utf-8")
