"""How to cite this project, and which version this is, from what its package says of itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]


def write_citation(file: Path) -> None:
    """Write the BibTeX entry of the version at hand."""
    file.write_text(
        f"""@software{{timesformer_ref,
  title   = {{timesformer\\_ref: {PROJECT["description"]}}},
  author  = {{{{The timesformer\\_ref authors}}}},
  version = {{{PROJECT["version"]}}},
  license = {{{PROJECT["license"]}}}
}}
""",
        encoding="utf-8",
    )


def write_version(file: Path) -> None:
    """Write a sentence that names the version at hand."""
    file.write_text(f"This is version {PROJECT['version']}.\n", encoding="utf-8")
