"""The forms that load, and what became of made files, as tables for the page on checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

from docs.making.tables import table
from spec_tests.project.forms import FORMS


def write_checkpoint_tables(data: Path, folder: Path) -> None:
    """Write `forms.md`, of the table that the tests read, and `fuzz.md`, of the last long runs."""
    folder.mkdir(parents=True, exist_ok=True)
    forms = [[f.whose, f.looks, f"`{f.said}`" if f.said else ""] for f in FORMS]
    (folder / "forms.md").write_text(
        table(["from", "names and containers", "a warning names"], forms)
    )
    runs = json.loads(data.read_text())
    rows = [
        [
            kind,
            f"{run['files']:,}",
            "; ".join(f"{files:,} {outcome}" for outcome, files in run["outcomes"].items()),
            str(len(run["failures"])),
            f"{run['slowest'][0]} s",
        ]
        for kind, run in runs.items()
    ]
    head = ["kind", "files", "what became of them", "failures", "the slowest took"]
    (folder / "fuzz.md").write_text(table(head, rows))
