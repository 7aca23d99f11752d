"""A prediction for every window of a video, made as its frames are decoded."""

from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise, repeat
from os import PathLike
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, UInt8

from timesformer_ref.input.video import read_windows
from timesformer_ref.use.classify import Classifier, Prediction, Progress
from timesformer_ref.use.prefetch import prefetch

PICTURES = 8
"""Most windows of which a timeline keeps a picture."""


class Stretch(NamedTuple):
    """Consecutive windows with the same best class: seconds, class, and its mean probability."""

    start: float
    end: float
    best: int
    probability: float


@dataclass(frozen=True)
class Timeline:
    """The predictions for the windows of one video, in order.

    seconds: start and end of each window. pictures: the first frames of some windows, small, spread
    evenly over the video.
    """

    video: str
    seconds: Float64[np.ndarray, "n 2"]
    predictions: list[Prediction]
    pictures: list[UInt8[np.ndarray, "H W 3"]]

    @property
    def probabilities(self) -> Float[np.ndarray, "n labels"]:
        """The probability of every class in every window."""
        return np.stack([prediction.probabilities for prediction in self.predictions])

    @property
    def best(self) -> list[int]:
        """The most probable class of every window."""
        return [prediction.top(1)[0] for prediction in self.predictions]

    @property
    def borders(self) -> list[float]:
        """The seconds where one window's prediction gives way to the next: one more than windows.

        Windows may overlap or leave gaps: a moment belongs to the one whose middle is nearest.
        """
        middles = self.seconds.mean(axis=1)
        between = (middles[:-1] + middles[1:]) / 2
        return [float(self.seconds[0, 0]), *between.tolist(), float(self.seconds[-1, 1])]

    @property
    def stretches(self) -> list[Stretch]:
        """The windows joined where neighbours have the same best class."""
        parts = zip(pairwise(self.borders), self.best, self.predictions, strict=True)
        stretches = []
        for best, group in groupby(parts, key=lambda part: part[1]):
            times, _, predictions = zip(*group, strict=True)
            probability = np.mean([prediction.probabilities[best] for prediction in predictions])
            stretches.append(Stretch(times[0][0], times[-1][1], best, float(probability)))
        return stretches


def classify_windows(
    classifier: Classifier,
    video: str | PathLike[str],
    *,
    every: float | None = None,
    progress: Progress = lambda _: None,
) -> Timeline:
    """Classify every window of a video while the next is decoded (see `read_windows`).

    Raises VideoError and ValueError (see `read_windows`), and LogitsError.
    """
    seconds, predictions, pictures = [], [], []
    windows = read_windows(video, classifier.preprocessing, every=every)
    read = prefetch(repeat(partial(next, windows, None)))
    for number, window in enumerate(iter(lambda: next(read).result(), None)):
        seconds.append((window.start, window.end))
        predictions.append(classifier.predict(video, window.clip))
        if number in _spread(window.total):
            pictures.append(window.picture)
        progress(1 / window.total)
    return Timeline(str(video), np.array(seconds), predictions, pictures)


def _spread(total: int) -> set[int]:
    """The numbers of the windows of which to keep pictures, evenly spread."""
    parts = min(total, PICTURES)
    return {(2 * part + 1) * total // (2 * parts) for part in range(parts)}


def clock(seconds: float) -> str:
    """A time in a video as text: 1:02.5, or 1:01:02.5 after an hour."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
