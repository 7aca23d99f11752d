"""The runs of the ablation as one table, and the functions that train and evaluate one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch.nn import functional as F

from docs.camera_motion.ablation.tasks import CLASSES, Clips, Task, TaskClips
from docs.camera_motion.model import CONFIG, untrained
from docs.camera_motion.train import RECIPE
from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.training.evaluate import Evaluation, evaluate
from timesformer_ref.training.loop import Report, train
from timesformer_ref.training.recipe import Recipe
from timesformer_ref.weights import count_parameters


class Scale(NamedTuple):
    """The size of the ablation, the same for all models. fresh: number of evaluation clips."""

    config: TimeSformerConfig
    preprocessing: Preprocessing
    recipe: Recipe
    fresh: int


FULL = Scale(
    replace(CONFIG, image_size=32, num_frames=4),
    Preprocessing(num_frames=4, sampling_rate=6, crop=32),
    replace(RECIPE, batch_size=128, steps=600),
    fresh=2000,
)
QUICK = Scale(
    replace(
        FULL.config,
        image_size=16,
        patch_size=4,
        hidden_size=48,
        num_hidden_layers=2,
        intermediate_size=192,
    ),
    replace(FULL.preprocessing, crop=16),
    replace(FULL.recipe, steps=220, learning_rate=4e-3),
    fresh=1000,
)
SEED, FRESH_SEED = 0, 1
"""Seeds of training and its clips, and of the clips for evaluation."""
POINTS = 10
"""Number of evaluations during training, on a quarter of the fresh clips."""


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

    def __str__(self) -> str:
        return f"{self.task}, {self.attention_type}, {self.positions}, {self.time_start:g}"

    def config(self, scale: Scale) -> TimeSformerConfig:
        """The model's geometry."""
        labels = len(CLASSES[self.task])
        return replace(scale.config, attention_type=self.attention_type, num_labels=labels)


MISSING: dict[str, tuple[str, ...]] = {
    "space-time": (),
    "space": ("time_embed",),
    "none": ("time_embed", "pos_embed"),
}
"""The embeddings that a model lacks."""
RUNS: tuple[Run, ...] = (
    *(Run(task, scheme) for task in CLASSES for scheme in SCHEMES),
    *(Run(task, positions=known) for task in CLASSES for known in ("space", "none")),
    *(Run("motion", time_start=size) for size in (0.3, 0.0)),
)
"""The five schemes on both tasks; then the published scheme without embeddings, and with a smaller
initial time embedding."""


def start(run: Run, scale: Scale) -> TimeSformer:
    """The run's model before training. Embeddings that it lacks are zero and stay so."""
    model = untrained(run.config(scale), SEED)
    if not model.config.separate_frames:
        model.time_embed.data *= run.time_start
    for name in MISSING[run.positions]:
        table = model.get_parameter(name)
        table.data.zero_()
        table.requires_grad_(False)
    return model


def run_one(
    run: Run,
    scale: Scale,
    clips: Clips,
    fresh: Clips,
    report: Callable[[Report], None] = lambda report: None,
) -> dict[str, Any]:
    """Train on clips and evaluate on fresh ones; returns the results, ready for JSON."""
    model, recipe = start(run, scale), scale.recipe
    few = Clips(
        fresh.video[: scale.fresh // 4],
        {task: answers[: scale.fresh // 4] for task, answers in fresh.answers.items()},
    )
    began = time.perf_counter()
    history = train(
        model,
        TaskClips(clips, run.task, scale.preprocessing),
        recipe,
        seed=SEED,
        validation=TaskClips(few, run.task, scale.preprocessing, views=True),
        evaluate_every=max(1, (recipe.steps or 1) // POINTS),
        videos_at_once=64,
        report=report,
    )
    seconds = time.perf_counter() - began
    views = TaskClips(fresh, run.task, scale.preprocessing, views=True)
    found = evaluate(model, views, videos_at_once=64)
    return {
        **asdict(run),
        "parameters": count_parameters(model.config),
        "multiply_adds": sum(multiply_adds(model.config).values()),
        "losses": [round(loss, 4) for loss in history.losses],
        "curve": [[step * recipe.batch_size, s["top1"]] for step, s in history.scores.items()],
        "seconds": round(seconds),
        "top1": found.top1,
        **(directions(found) if run.task == "motion" else {}),
    }


def directions(found: Evaluation) -> dict[str, float]:
    """The accuracy of the axis among clips that move, and of the direction among those.

    Each pair of opposite moves stands side by side in the table of moves, after `static`.
    """
    moving = found.confusion[1:, 1:]
    pairs = rearrange(moving, "(k w) (l v) -> k w l v", w=2, v=2)
    axis = np.einsum("kwkv->wv", pairs)
    return {
        "axis": float(axis.sum() / found.confusion[1:].sum()),
        "direction": float(axis.trace() / max(axis.sum(), 1)),
    }


def time_steps(scale: Scale, repeats: int) -> dict[str, float]:
    """Median seconds of a forward and backward pass of each scheme, measured in turn."""
    config, batch = scale.config, scale.recipe.batch_size
    side, labels = config.image_size, torch.zeros(batch, dtype=torch.long)
    video = torch.zeros(batch, config.num_frames, config.num_channels, side, side)
    models = {scheme: start(Run("motion", scheme), scale) for scheme in SCHEMES}
    seconds: dict[str, list[float]] = {scheme: [] for scheme in SCHEMES}
    for _ in range(1 + repeats):
        for scheme, model in models.items():
            began = time.perf_counter()
            F.cross_entropy(model(video).logits, labels).backward()  # type: ignore[no-untyped-call]
            seconds[scheme].append(time.perf_counter() - began)
    return {scheme: median(times[1:]) for scheme, times in seconds.items()}
