"""The port that the porting guide writes conforms in all that it offers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
