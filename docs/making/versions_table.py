"""What the project was tried with, from what `.ci/versions.py` found."""

from __future__ import annotations

import json
from pathlib import Path

from docs.making.tables import table

ENDS = {
    "lowest": "lowest versions",
    "oldest": "oldest Python",
    "newest": "newest Python",
}


def write_versions(data: Path, target: Path) -> None:
    """Write the table: a row per package, a column per environment."""
    found = json.loads(data.read_text("utf-8"))
    names = dict.fromkeys(name for end in ENDS for name in found[end]["versions"])
    rows = [[name, *(found[end]["versions"].get(name, "") for end in ENDS)] for name in names]
    rows.append(["**tests**", *(f"**{found[end]['tests'].split(', ')[0]}**" for end in ENDS)])
    target.write_text(table(["", *ENDS.values()], rows), encoding="utf-8")
