"""What the suite's last run says of a port, as a table for the page about that port."""

from __future__ import annotations

import json
from pathlib import Path

from docs.making.tables import table


def write_port_figures(data: Path, folder: Path) -> None:
    """Write `NAME.md` for every port of the conformance page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, report in json.loads(data.read_text("utf-8")).items():
        counts = {
            "requirements": report["of"],
            **report["counts"],
            "processor seconds": report["seconds"],
        }
        text = table(list(counts), [[str(number) for number in counts.values()]])
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
