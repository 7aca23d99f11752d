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
VECTORS = ROOT / "build" / "vectors"
FOR_NODE = {"main.js", "check.js", "file.js"}
"""The port's programs, which no page needs."""


def write_live(assets: Path) -> None:
    """Copy the port to `port/`, as it is, and the model's file to `live/`."""
    (assets / "port").mkdir(exist_ok=True)
    for module in sorted(PORT.glob("*.js")):
        if module.name not in FOR_NODE:
            shutil.copy(module, assets / "port")
    shutil.copy(FILE, assets / "live")


def is_current(vectors: Path) -> bool:
    """Whether these vectors were made of the sources as they are."""
    note = note_of(vectors)
    return vectors.exists() and note.exists() and note.read_text("utf-8") == digest_of_sources()


def note_of(vectors: Path) -> Path:
    """The file beside vectors that says of which sources they were made."""
    return vectors.with_suffix(".sha256")


def digest_of_sources() -> str:
    """Of all that decides what the vectors are."""
    suite, package = ROOT / "spec_tests", ROOT / "timesformer_ref"
    sources = [*suite.glob("*.py"), *(suite / "harness").rglob("*.py"), *package.rglob("*.py")]
    sources += [*(suite / "golden").iterdir(), ROOT / "docs" / "specification.md"]
    return sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()


def start_vectors(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start to write the suite's small vectors, which takes a while, unless they are there."""
    if is_current(folder):
        return None
    shutil.rmtree(folder, ignore_errors=True)
    note_of(folder).write_text(digest_of_sources(), encoding="utf-8")
    command = [sys.executable, "-m", "timesformer_ref", "vectors", folder, "--small"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def finish_vectors(writing: subprocess.Popen[bytes] | None, folder: Path, assets: Path) -> None:
    """Wait for the vectors, and copy them to `vectors/`, less their README, which is no page.

    Raises RuntimeError where they could not be written.
    """
    if writing and writing.wait():
        raise RuntimeError(f"{writing.args!r} failed with exit code {writing.returncode}")
    shutil.rmtree(assets / "vectors", ignore_errors=True)
    shutil.copytree(folder, assets / "vectors", ignore=shutil.ignore_patterns("README.md"))
