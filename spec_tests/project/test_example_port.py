"""The port that the porting guide writes conforms in all that it offers, and learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spec_tests.project.test_docs import blocks

ROOT = Path(__file__).parents[2]
PORT = ROOT / "docs" / "examples" / "port" / "my_port.py"
LEFT_OUT = {
    "Sparse local-global attention", "Axial attention", "Gradients", "Weights", "Initial weights",
    "Choice of frames", "Views", "Refusals",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not PORT.exists(), reason="needs the checkout")
def test_the_guides_port_fails_nothing(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "timesformer_ref", "conform", PORT, "--report", report]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows = json.loads(report.read_text("utf-8"))["requirements"]
    assert {row["group"] for row in rows if row["status"] == "not offered"} <= LEFT_OUT


@pytest.mark.slow
@pytest.mark.skipif(not PORT.exists(), reason="needs the checkout")
def test_the_guides_port_learns_as_the_tour_shows(tmp_path):
    """The chapter's own commands, for as many steps as its first lines show."""
    pytest.importorskip("jax")
    pytest.importorskip("accelerate")
    [script] = [b for b in blocks(ROOT / "docs/tour/training.md", "sh") if "learner.py" in b]
    for name in ("docs", "spec_tests", "timesformer_ref"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "my_port.py").symlink_to(PORT)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", f"{script.rstrip()} 50"],
        cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = (ROOT / "docs" / "data" / "learned.txt").read_text("utf-8").splitlines()
    assert losses(done.stdout.splitlines()[:2]) == pytest.approx(losses(shown[:2]), abs=0.02)
    assert losses(shown[:-1]) == sorted(losses(shown[:-1]), reverse=True)


def losses(lines):
    """The numbers of lines such as `step 50: loss 2.19`."""
    return [float(line.rpartition(" ")[2]) for line in lines]
