"""Builds of a few pages with the site's own configuration and theme, which take a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from spec_tests.project.site_browser import BUILD, need

ROOT = BUILD.parent


def lay_out(folder: Path, pages: dict[str, str]) -> None:
    """Write pages to a folder, beside the site's theme, pictures, fragments and configuration.

    The configuration is without the list of pages, and without the plugin for Python's names.
    """
    need((BUILD / "fragments").is_dir(), "what docs/generate.py writes")
    (folder / "docs").mkdir()
    for name, text in pages.items():
        (folder / "docs" / name).parent.mkdir(exist_ok=True)
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / ".theme", folder / ".theme")
    large = shutil.ignore_patterns("vectors", "port", "live", "*.mp4")
    shutil.copytree(ROOT / "docs" / "assets", folder / "docs" / "assets", ignore=large)
    for kept in ("docs/examples", "build/fragments"):
        shutil.copytree(ROOT / kept, folder / kept)
    before, _, after = (ROOT / "mkdocs.yml").read_text("utf-8").partition("  - mkdocstrings:")
    after = after[after.index("markdown_extensions:") : after.index("\nnav:")]
    (folder / "mkdocs.yml").write_text(f"{before}{after}\n", encoding="utf-8")


def build(folder: Path, program: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a builder in that folder, and what it says."""
    done = subprocess.run(
        [Path(sys.executable).with_name(program), "build", *arguments],
        cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
