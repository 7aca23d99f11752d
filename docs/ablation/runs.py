"""The runs of the ablation as one table, and the functions that train and evaluate one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Int64
from torch import nn

from docs.ablation.tasks import CLASSES, Task, make_clips
from docs.camera_motion.model import CONFIG, untrained
from docs.camera_motion.train import RECIPE
from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.training.loop import Report, train
from timesformer_ref.training.recipe import Recipe
from timesformer_ref.weights import count_parameters


class Scale(NamedTuple):
    """The size of the ablation, the same for all models. fresh: number of evaluation clips."""

    config: TimeSformerConfig
    recipe: Recipe
    fresh: int


FULL = Scale(
    replace(
        CONFIG,
        image_size=16,
        patch_size=4,
        num_channels=1,
        num_frames=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        num_labels=4,
    ),
    replace(RECIPE, batch_size=64, steps=400, learning_rate=4e-3),
    fresh=600,
)
SEEDS = (0, 1, 2)
"""Of a model's initial values and of its training clips."""
FRESH_SEED = 1000
"""Of the clips for evaluation, the same for all models."""
POINTS = 8
"""Number of evaluations during training."""
POSITION_START = 0.5
"""Standard deviation of the position embedding at the start; from the original's 0.02, joint
attention learns later."""


@dataclass(frozen=True)
class Run:
    """One model and its task.

    positions: the model's embeddings: `space-time`, `space` (no time embedding) or `none`.
    time_start: amplitude of the time embedding's initial sinusoids; 0 is the original's.
    """

    task: Task
    attention_type: str = "divided_space_time"
    positions: str = "space-time"
    time_start: float = 1.0
    seed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.task}, {self.attention_type}, {self.positions}, {self.time_start:g}, "
            f"seed {self.seed}"
        )


MISSING: dict[str, tuple[str, ...]] = {
    "space-time": (),
    "space": ("time_embed",),
    "none": ("time_embed", "pos_embed"),
}
"""The embeddings that a model lacks."""
COMPARED: tuple[Run, ...] = (
    *(Run(task, scheme) for task in CLASSES for scheme in SCHEMES),
    *(Run("motion", positions=known) for known in ("space", "none")),
    Run("motion", time_start=0.0),
)
"""The five schemes on both tasks; then the published scheme without embeddings, and with a time
embedding that starts at zero."""
RUNS = tuple(replace(run, seed=seed) for run in COMPARED for seed in SEEDS)


def start(run: Run, scale: Scale) -> TimeSformer:
    """The run's model before training. Embeddings that it lacks are zero and stay so."""
    model = untrained(replace(scale.config, attention_type=run.attention_type), run.seed)
    nn.init.normal_(model.pos_embed, std=POSITION_START)
    if not model.config.separate_frames:
        model.time_embed.data *= run.time_start
    for name in MISSING[run.positions]:
        table = model.get_parameter(name)
        table.data.zero_()
        table.requires_grad_(False)
    return model


def run_one(run: Run, scale: Scale, progress: Callable[[float], None]) -> dict[str, Any]:
    """Train and evaluate a model; returns the results, ready for JSON.

    progress: called with the part that is done.
    """
    model, recipe = start(run, scale), scale.recipe
    config, steps = model.config, recipe.steps or 1
    shape = config.num_frames, config.image_size
    clips = make_clips(run.seed, steps * recipe.batch_size, *shape)
    last: list[Report] = []

    def report(latest: Report) -> None:
        last[:] = [latest]
        progress(latest.step / steps)

    began = time.process_time()
    history = train(
        model,
        clips.source(run.task),
        recipe,
        seed=run.seed,
        validation=make_clips(FRESH_SEED, scale.fresh, *shape).source(run.task, views=True),
        evaluate_every=max(1, steps // POINTS),
        videos_at_once=100,
        report=report,
    )
    seconds = time.process_time() - began
    [found] = [report.evaluation for report in last if report.evaluation]
    return {
        **asdict(run),
        "parameters": count_parameters(config),
        "multiply_adds": sum(multiply_adds(config).values()),
        "curve": [
            [step * recipe.batch_size, round(scores["top1"], 4)]
            for step, scores in history.scores.items()
        ],
        "seconds": round(seconds, 1),
        "top1": round(found.top1, 4),
        **(directions(found.confusion) if run.task == "motion" else {}),
    }


def directions(confusion: Int64[np.ndarray, "labels labels"]) -> dict[str, float]:
    """How often the axis is right, and of those clips, how often the direction is."""
    axis = np.einsum("kwkv->wv", rearrange(confusion, "(k w) (l v) -> k w l v", w=2, v=2))
    return {
        "axis": round(float(axis.sum() / confusion.sum()), 4),
        "direction": round(float(axis.trace() / max(axis.sum(), 1)), 4),
    }
