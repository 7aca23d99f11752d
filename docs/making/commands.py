"""What commands print: each line of the table runs, and its output is kept."""

from __future__ import annotations

import io
import shlex
import sys
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from timesformer_ref.cli import main

DOCS = Path(__file__).parents[1]

COMMANDS = {
    "inspect": ["inspect camera-motion"],
    "convert": [
        "convert camera-motion camera.pyth",
        "convert camera.pyth camera",
        "convert camera camera.safetensors",
    ],
    "export": ["export --out camera-motion.onnx"],
    "timeline": ["classify docs/assets/example.mp4 --timeline"],
}
"""By fragment: lines of `timesformer-ref`, one after another in a folder of their own."""


def write_commands(name: str, folder: Path) -> None:
    """Write `NAME.txt` for a row of the table. A command that fails raises its error."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place, chdir(place):
        Path("docs").symlink_to(DOCS)
        text = "".join(map(said, COMMANDS[name]))
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def said(line: str) -> str:
    """All that a command prints, without spaces at the ends of lines."""
    text, words = io.StringIO(), ["timesformer-ref", *shlex.split(line)]
    with (
        redirect_stdout(text), redirect_stderr(text), warnings.catch_warnings(),
        patch.object(sys, "argv", words),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(text.getvalue()) from end
    return "".join(f"{row.rstrip()}\n" for row in text.getvalue().splitlines())
