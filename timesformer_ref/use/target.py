"""The name of a file to write, checked before any work is done."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def check_target(target: Path, endings: Collection[str]) -> None:
    """Raises ValueError for a folder, and for a name that has none of these endings."""
    if target.suffix not in endings:
        raise ValueError(f"{target}: use a name that ends in {' or '.join(endings)}")
    if target.is_dir():
        raise ValueError(f"{target}: is a folder, expected the name of a file")
