"""The videos that a run could not read: replaced, and listed in a file of the run."""

from __future__ import annotations

import json
from pathlib import Path

from timesformer_ref.input.decoding import VideoError


class Unreadable:
    """A list of videos to which every process of a run adds. path: a file, a JSON line each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, video: Path, error: VideoError) -> None:
        """Add a video and why it could not be read."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:  # lines this short are written at once
            file.write(json.dumps({"video": str(video), "error": str(error)}) + "\n")

    def read(self) -> dict[str, str]:
        """Why each of the listed videos could not be read."""
        if not self.path.exists():
            return {}
        rows = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {row["video"]: row["error"] for row in rows}
