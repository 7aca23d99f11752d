"""What the live pages load: the JavaScript port, the small model, the suite's small vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

from docs.making.code import ROOT
from timesformer_ref.default_model import FILE

PORT = ROOT / "spec_tests" / "ports" / "javascript_port"
FOR_NODE = {"main.js", "check.js", "file.js"}
"""The port's programs, which no page needs."""


def write_live(assets: Path) -> None:
    """Copy the port to `port/`, as it is, and the model's file to `live/`."""
    (assets / "port").mkdir(exist_ok=True)
    for module in sorted(PORT.glob("*.js")):
        if module.name not in FOR_NODE:
            shutil.copy(module, assets / "port")
    shutil.copy(FILE, assets / "live")
