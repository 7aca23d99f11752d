"""What the suite prints about the guide's port as it grows, about a mutant, and about gradients."""

from __future__ import annotations

import ast
import os
import shlex
import sys
from contextlib import chdir
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

RUNS = {
    **{
        name: f"timesformer-ref conform my_port.py -- -k {shlex.quote(stage.tests)}"
        for name, stage in STAGES.items()
    },
    "mutant": "timesformer-ref conform mutant:temporal-frames-from-config -- -k test_temporal",
    "gradients": "timesformer-ref conform spec_tests.ports.torch_port -- -k test_loss",
}
"""The commands, by fragment."""


def write_run(name: str, folder: Path) -> None:
    """Write `NAME.txt`: a command of this package, and what it prints.

    It changes its process, which is the command's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"COLUMNS": "88", "NO_COLOR": "1", "PYTEST_ADDOPTS": IMPORTED_ALREADY}
    transcript = folder / f"{name}.txt"
    with (
        TemporaryDirectory() as room,
        chdir(room),
        open(transcript, "w", encoding="utf-8") as output,
    ):
        if name in STAGES:
            Path("my_port.py").write_text(port_at(STAGES[name]), encoding="utf-8")
        print(f"$ {RUNS[name]}", file=output, flush=True)
        os.dup2(output.fileno(), sys.stdout.fileno())
        run(shlex.split(RUNS[name])[1:])
        sys.stdout.flush()


def port_at(stage: Stage) -> str:
    """The source of the port at a stage. Raises ValueError where it does not hold the old text."""
    source = PORT.read_text("utf-8")
    if stage.old and source.count(stage.old) != 1:
        raise ValueError(f"{PORT} does not hold once: {stage.old}")
    source = source.replace(stage.old, stage.new) if stage.old else source
    ends = {d.name: d.end_lineno for d in ast.parse(source).body if isinstance(d, ast.FunctionDef)}
    text = "".join(source.splitlines(keepends=True)[: ends[stage.last]])
    return text if stage.last == "forward" else text + STUB
