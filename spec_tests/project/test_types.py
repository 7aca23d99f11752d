"""What a type checker knows of the package, in the examples of the pages as in a user's code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from spec_tests.project.test_docs import PAGES, ROOT, SLOW, blocks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="checkout")]

LEFT_OUT = (*SLOW, "guide.md", "onnx_file.py")
"""About `transformers` and `onnxruntime`, whose own annotations are wrong or missing, and of a
port, which needs none."""

PYRIGHT = "pyright@1.1.414"

REVEALED = """
import torch
from timesformer_ref import TimeSformer, TimeSformerConfig
from timesformer_ref.inference.fold import fold

model = TimeSformer(TimeSformerConfig())
reveal_type(model(torch.zeros(1)))
reveal_type(fold(model)(torch.zeros(1)).logits)
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder with a file for each page, and the examples that the pages show the output of."""
    room = tmp_path_factory.mktemp("examples")
    for page in PAGES:
        if page.name not in LEFT_OUT and (found := blocks(page, "python")):
            name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
            (room / f"{name}_page.py").write_text("\n".join(found))
    for example in (ROOT / "docs/examples").glob("*.py"):
        if example.name not in LEFT_OUT:
            shutil.copy(example, room)
    (room / "revealed.py").write_text(REVEALED)
    return room


def test_mypy_strict(examples):
    options = ["--strict", "--untyped-calls-exclude=torch", "--follow-imports=silent"]
    said = run(examples, sys.executable, "-m", "mypy", *options, *files(examples))
    assert said.returncode == 0, said.stdout
    assert "fallback=timesformer_ref.torch_blocks.model.Output" in said.stdout
    assert 'is "torch._tensor.Tensor"' in said.stdout


@pytest.mark.skipif(not shutil.which("npx"), reason="npx is missing: install Node to run Pyright")
def test_pyright(examples):
    (examples / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    said = run(examples, "npx", "--yes", PYRIGHT, "--pythonpath", sys.executable)
    if "errors, " not in said.stdout:
        pytest.skip(f"Pyright could not be fetched: {said.stderr}")
    assert re.search(r"^0 errors, ", said.stdout, re.MULTILINE), said.stdout
    assert 'Type of "model(torch.zeros(1))" is "Output"' in said.stdout


def files(room):
    return sorted(path.name for path in room.glob("*.py"))


def run(room, *command):
    own = os.environ | {"MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=room, env=own, capture_output=True, text=True, check=False)
