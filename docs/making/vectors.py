"""The format of vectors, and which mutants fail them, as fragments."""

from __future__ import annotations

import json
from pathlib import Path

from docs.making.tables import table
from spec_tests.harness.vectors.writing import FORMAT_PAGE


def write_vectors(data: Path, folder: Path) -> None:
    """Write `format.md` and `figures.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "format.md").write_text(FORMAT_PAGE.read_text("utf-8"), encoding="utf-8")
    rows = [
        [
            title,
            str(found["cases"]),
            f"{found['bytes'] / 1e6:.1f} MB",
            f"{found['mutants'] - len(found['escaped'])} of {found['mutants']}",
            ", ".join(f"[`{name}`](specification.md#{name})" for name in found["escaped"])
            or "none",
        ]
        for title, found in json.loads(data.read_text("utf-8")).items()
    ]
    head = ["vectors", "cases", "size", "mutants that fail", "mutants that pass"]
    (folder / "figures.md").write_text(table(head, rows), encoding="utf-8")
