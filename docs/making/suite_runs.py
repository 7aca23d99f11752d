"""What the suite prints about the guide's port as it grows, about a mutant, and about gradients."""

from __future__ import annotations

import ast
import os
import shlex
import sys
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch  # noqa: F401  # here, once, and not in every process

from spec_tests.harness import judging  # noqa: F401
from timesformer_ref.cli import run

PORT = Path(__file__).parents[1] / "examples" / "port" / "my_port.py"

STUB = """

def forward(video, weights, config):
    raise NotImplementedError("the model is not whole yet")
"""


IMPORTED_ALREADY = "-W ignore::pytest.PytestAssertRewriteWarning"
"""What pytest says of the modules that the parent process has imported is not the reader's."""


class Stage(NamedTuple):
    """The port up to one of its functions, and the tests that it is then ready for.

    old, new: what is written otherwise at this stage.
    """

    last: str
    tests: str
    old: str = ""
    new: str = ""


STAGES = {
    "unresized": Stage("patchify", "test_patchify and positions",
                       "table[positions(len(table), h, w)]", "table"),
    "patchify": Stage("patchify", "test_patchify"),
    "time_embedding": Stage("time_embedding", "test_time_embedding"),
    "attention_step": Stage("attention_step", "test_self_attention or test_schemes"),
    "mlp": Stage("mlp", "test_mlp or test_layer_norm"),
    "forward": Stage("forward", "test_classifier or test_every_block"),
}  # fmt: skip

OTHERS = {
    "mutant": "timesformer-ref conform mutant:temporal-frames-from-config -- -k test_temporal",
    "gradients": "timesformer-ref conform spec_tests.ports.torch_port -- -k test_loss",
}


def write_runs(folder: Path) -> None:
    """Write `NAME.txt` for every run: the command and what it prints."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        runs = [(text, Path(place), folder / f"{name}.txt") for name, text in OTHERS.items()]
        for name, stage in STAGES.items():
            room = Path(place, name)
            room.mkdir()
            (room / "my_port.py").write_text(port_at(stage), encoding="utf-8")
            command = f"timesformer-ref conform my_port.py -- -k {shlex.quote(stage.tests)}"
            runs.append((command, room, folder / f"{name}.txt"))
        with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
            pool.starmap(write_run, runs, chunksize=1)


def port_at(stage: Stage) -> str:
    """The source of the port at a stage. Raises ValueError where it does not hold the old text."""
    source = PORT.read_text("utf-8")
    if stage.old and source.count(stage.old) != 1:
        raise ValueError(f"{PORT} does not hold once: {stage.old}")
    source = source.replace(stage.old, stage.new) if stage.old else source
    ends = {d.name: d.end_lineno for d in ast.parse(source).body if isinstance(d, ast.FunctionDef)}
    text = "".join(source.splitlines(keepends=True)[: ends[stage.last]])
    return text if stage.last == "forward" else text + STUB


def write_run(command: str, room: Path, transcript: Path) -> None:
    """Run a command of this package in a folder, and keep what it prints."""
    os.environ |= {"COLUMNS": "88", "NO_COLOR": "1", "PYTEST_ADDOPTS": IMPORTED_ALREADY}
    with open(transcript, "w", encoding="utf-8") as output:
        os.chdir(room)
        print(f"$ {command}", file=output, flush=True)
        kept = os.dup(sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stdout.fileno())
        run(shlex.split(command)[1:])
        sys.stdout.flush()
        os.dup2(kept, sys.stdout.fileno())
