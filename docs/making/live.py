"""What pages load and link to: ports in other languages, the small model, the small vectors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from docs.making.code import ROOT
from timesformer_ref.default_model import FILE

PORTS = ROOT / "spec_tests" / "ports"
VECTORS = ROOT / "build" / "vectors"

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""In which vectors are the same bytes again: with more, a product's last bit may change."""


def write_live(assets: Path) -> None:
    """Copy the model's file to `live/`, and the ports to `port/`, as they are.

    The page runs the modules in JavaScript; the files in C and Python are for readers.
    """
    (assets / "port" / "c").mkdir(parents=True, exist_ok=True)
    for module in (PORTS / "javascript_port").glob("*.js"):
        shutil.copy(module, assets / "port")
    for source in (PORTS / "c_port").glob("*.[ch]"):
        shutil.copy(source, assets / "port" / "c")
    shutil.copy(PORTS / "jax_port.py", assets / "port" / "jax_port.txt")
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


def write_small_vectors(folder: Path, assets: Path) -> None:
    """Copy the suite's small vectors to `vectors/`, less their README, which is no page.

    They are recorded first, which takes a while, unless they are those of today's sources. Raises
    CalledProcessError where they could not be written.
    """
    if not is_current(folder):
        digest = digest_of_sources()
        shutil.rmtree(folder, ignore_errors=True)
        note_of(folder).unlink(missing_ok=True)
        command = [sys.executable, "-m", "timesformer_ref", "vectors", folder, "--small"]
        environment = os.environ | ONE_THREAD
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        note_of(folder).write_text(digest, encoding="utf-8")
    shutil.rmtree(assets / "vectors", ignore_errors=True)
    shutil.copytree(folder, assets / "vectors", ignore=shutil.ignore_patterns("README.md"))
