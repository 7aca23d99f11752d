"""A run's progress as its user sees it: lines, and tables and pictures in the run's folder."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from pathlib import Path

from rich.progress import Progress

from timesformer_ref.training.clips import Unreadable
from timesformer_ref.training.evaluate import Evaluation, say_scores
from timesformer_ref.training.loop import BEST, FILES, LAST, LOG, SAID, UNREADABLE, Report
from timesformer_ref.training.pictures import draw_confusion, draw_run
from timesformer_ref.training.state import History
from timesformer_ref.training.tables import make_tables, read_tables, results, write_tables

LINE_EVERY = 60.0
"""Seconds between the lines of a run."""


@dataclass
class Reporter:
    """Shows each step of a run, of which it is called with the `Report`.

    say: prints text. classes, videos: names, those of the validation's videos. plan: the first
    lines of the run's log. batch: clips of a step. stopped: why the run is to stop, where it is.
    most_unreadable: number of unreadable videos above which it is too.
    """

    progress: Progress
    say: Callable[[str], None]
    run: Path
    classes: Sequence[str]
    videos: Sequence[str] = ()
    plan: Sequence[str] = ()
    batch: int = 1
    stopped: Sequence[str] = ()
    most_unreadable: float = inf

    def __post_init__(self) -> None:
        self.task = self.progress.add_task("the first step", total=None)
        self.began = self.last = time.monotonic()
        self.steps, self.named = 0, set[str]()

    def __call__(self, latest: Report) -> str | None:
        """Show a step. Returns why the run is to stop, where it is."""
        if not self.steps:
            self.note("\n".join(self.plan))
        self.steps += 1
        line = f"step {latest.step} of {latest.steps}, loss {latest.loss:.3f}"
        self.progress.update(self.task, description=line, completed=latest.step, total=latest.steps)
        now = time.monotonic()
        if now - self.last > LINE_EVERY:
            pace, self.last = (now - self.began) / self.steps, now
            left = timedelta(seconds=round(pace * (latest.steps - latest.step)))
            rate = f"rate {latest.learning_rate:.2g}, {self.batch / pace:.3g} clips a second"
            self.progress.console.print(self.note(f"{line}, {rate}, {left} left"))
        if latest.evaluation:
            self.evaluated(latest, latest.evaluation)
        broken = Unreadable(self.run / UNREADABLE).read()
        for video in broken.keys() - self.named:
            warnings.warn(self.note(f"{broken[video]}; another video was taken"), stacklevel=2)
        self.named.update(broken)
        if len(broken) > self.most_unreadable:
            return f"{len(broken)} videos cannot be read (see {UNREADABLE} in {self.run})"
        return self.stopped[0] if self.stopped else None

    def evaluated(self, latest: Report, found: Evaluation) -> None:
        """Show an evaluation, and keep the tables of the best."""
        self.say(self.note(f"step {latest.step}: {found}" + ", the best yet" * latest.best))
        if latest.best:
            names = self.videos or [str(number) for number in range(len(found.labels))]
            write_tables(make_tables(found, names, self.classes), self.run)
            draw_confusion(found.confusion, self.classes, self.run / "confusion.png")
        draw_run(self.run / LOG, self.run / "losses.png")

    def finish(self, history: History) -> None:
        """Show what the best step can do, the files of the run and what may be next."""
        draw_run(self.run / LOG, self.run / "losses.png")
        lines, kept = [], LAST
        if history.best:
            kept, scores = BEST, say_scores(history.scores[history.best], len(self.classes))
            lines = [*results(read_tables(self.run)), f"best: step {history.best}, {scores}"]
        files = ", ".join(name for name in FILES if (self.run / name).exists())
        next_ = f"next: timesformer-ref classify VIDEO --checkpoint {self.run / kept}"
        self.say(self.note("\n".join([*lines, f"{self.run}: {files}", next_])))

    def note(self, text: str) -> str:
        """Add a text to the run's log, and return it."""
        with (self.run / SAID).open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")
        return text
