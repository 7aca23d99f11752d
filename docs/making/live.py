"""What the live pages load: the JavaScript port, the small model, the suite's small vectors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
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


def start_vectors(folder: Path, note: Path) -> subprocess.Popen[bytes] | None:
    """Start to write the suite's small vectors, which takes a minute, unless they are there.

    note: a file that says of which sources those that are there were made.
    """
    sources = [f for name in ("spec_tests", "timesformer_ref") for f in (ROOT / name).rglob("*.py")]
    made_of = sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()
    if folder.exists() and note.exists() and note.read_text("utf-8") == made_of:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    note.write_text(made_of, encoding="utf-8")
    command = [sys.executable, "-m", "timesformer_ref", "vectors", folder, "--small"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def finish_vectors(writing: subprocess.Popen[bytes] | None, folder: Path) -> None:
    """Wait for the vectors, whose README would become a page of the site.

    Raises RuntimeError where they could not be written.
    """
    if writing and writing.wait():
        raise RuntimeError(f"{writing.args!r} failed with exit code {writing.returncode}")
    (folder / "README.md").unlink(missing_ok=True)
