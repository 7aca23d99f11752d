"""What the suite's last run says of a port, as a sentence for the page about that port."""

from __future__ import annotations

import json
from pathlib import Path


def write_port_figures(data: Path, folder: Path) -> None:
    """Write `NAME.md` for every port of the conformance page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, report in json.loads(data.read_text("utf-8")).items():
        counts = [
            f"{count} {status.replace(',', '')}"
            for status, count in report["counts"].items()
            if count
        ]
        text = f"{', '.join(counts)}, of {report['of']} requirements"
        text = f"{text}, in {report['seconds']} seconds of processor time.\n"
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
