"""A training job: a model and its data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.training.clips import EvaluationViews, TrainingClips
from timesformer_ref.training.evaluate import Source
from timesformer_ref.training.folder import Videos
from timesformer_ref.training.recipe import Recipe
from timesformer_ref.training.unreadable import Unreadable


class Job(NamedTuple):
    """A model, its data, and the settings, as JSON, that a resumed run must share.

    class_weights: as for `train`.
    """

    model: TimeSformer
    source: Source
    validation: Source | None
    settings: dict[str, Any]
    class_weights: list[float] | None = None


def fine_tuning(
    start: Checkpoint,
    preprocessing: Preprocessing,
    videos: Videos,
    held_out: Videos | None,
    recipe: Recipe,
    seed: int,
    unreadable: Unreadable | None = None,
) -> Job:
    """The job of fine-tuning a checkpoint that has the videos' classes on random clips of them."""
    config, stated = start.config, asdict(preprocessing)
    if recipe.drop_path_rate is not None:
        config = replace(config, drop_path_rate=recipe.drop_path_rate)
    return Job(
        TimeSformer.from_checkpoint(replace(start, config=config, preprocessing=stated)),
        TrainingClips(videos, preprocessing, recipe, seed, unreadable),
        held_out and EvaluationViews(held_out, preprocessing, unreadable=unreadable),
        {
            "classes": list(videos.classes),
            "videos": videos.listed,
            "validation": held_out and held_out.listed,
            "preprocessing": stated,
        },
        balance(videos) if recipe.balanced else None,
    )


def balance(videos: Videos) -> list[float]:
    """Weights by class with which all classes that have a video count alike; 1 for a mean clip."""
    counts = Counter(videos.labels)
    return [
        len(videos.labels) / len(counts) / max(counts[label], 1)
        for label in range(len(videos.classes))
    ]
