"""Temporal attention wakes up: python -m docs.making.waking, some minutes of one core.

Trains the small model of the package from two starts on the clips that its own training begins
with, and writes to docs/data/waking.json how much the temporal step of each block adds, the losses
and the accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from docs.camera_motion.clips import FRESH, EvaluationClips, TrainingClips, frame_seconds
from docs.camera_motion.model import CONFIG, EASY, PREPROCESSING, untrained
from docs.camera_motion.scenes import draw_scene
from docs.camera_motion.train import RECIPE
from docs.making.tables import table
from timesformer_ref import TimeSformer
from timesformer_ref.training.loop import Report, train
from timesformer_ref.training.recipe import Recipe

DATA = Path(__file__).parents[1] / "data" / "waking.json"
SHORT = replace(RECIPE, batch_size=32, steps=400)
"""The small model's recipe, for a sixtieth of its clips."""
EASY_CLIPS = round(EASY * (RECIPE.steps or 0) * RECIPE.batch_size)
"""The number of clips over which the small model's scenes grow harder."""
FRESH_CLIPS, PROBE = 500, 32
"""The number of clips that no model is trained on; on the first of them the steps are measured."""
EARLY, EVERY = (1, 2, 4, 7), 10
"""After which steps they are measured."""
STARTS = {"zero": True, "random": False}
"""Whether `temporal_fc` starts at zero, as in the original, or not, as in the small model."""


def main() -> None:
    """Train from each start, on the same clips, and write what was measured."""
    fresh = easy_clips(FRESH_CLIPS)
    found = {name: record(begin(zero), SHORT, fresh) for name, zero in STARTS.items()}
    DATA.write_text(json.dumps(found) + "\n", encoding="utf-8")


def easy_clips(count: int) -> EvaluationClips:
    """Clips of the easiest kind, which no model is trained on."""
    seconds = frame_seconds(PREPROCESSING)
    scenes = [draw_scene(0, number, seconds, 1.0, FRESH) for number in range(count)]
    return EvaluationClips(scenes, PREPROCESSING)


def begin(zero: bool) -> TimeSformer:
    """The small model before training, with every `temporal_fc` at zero or not."""
    model = untrained()
    for block in model.blocks if zero else ():
        nn.init.zeros_(block.temporal_fc.weight)
    return model


def record(model: TimeSformer, recipe: Recipe, fresh: EvaluationClips) -> dict[str, Any]:
    """Train a model; returns its losses, and its accuracy and the shares of its blocks by step."""
    probe = torch.cat([fresh[number][0] for number in range(PROBE)])
    measured = {0: shares(model, probe)}

    def report(latest: Report) -> None:
        if latest.step in EARLY or latest.step % EVERY == 0:
            measured[latest.step] = shares(model, probe)

    history = train(
        model,
        TrainingClips(PREPROCESSING, 0, EASY_CLIPS),
        recipe,
        validation=fresh,
        videos_at_once=PROBE,
        report=report,
    )
    return {
        "losses": [round(loss, 3) for loss in history.losses],
        "top1": {step: scores["top1"] for step, scores in history.scores.items()},
        "shares": {step: [round(share, 5) for share in found] for step, found in measured.items()},
    }


@torch.inference_mode()
def shares(model: TimeSformer, video: Float[Tensor, "b t c H W"]) -> list[float]:
    """For each block, how long what its temporal step adds is, in parts of the patches' length."""
    grid = model.config.clip_grid(video.shape)
    found = []
    for block, tokens in zip(
        model.blocks, model(video, output_hidden_states=True).hidden_states, strict=False
    ):
        after, _ = block.attention_step(tokens, grid, "temporal")
        found.append(float((after - tokens).norm() / tokens[:, 1:].norm()))
    return found


def read() -> dict[str, Any]:
    """What was recorded, by start."""
    found: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
    return found


def smooth(losses: Sequence[float], number: int = 20) -> list[tuple[int, float]]:
    """By step, the mean loss of the last `number` steps: the clips of a single one are few."""
    ends = range(number, len(losses) + 1)
    return [(end, mean(losses[end - number : end])) for end in ends]


def what_was_recorded() -> str:
    """The shares of some steps as a table, and a sentence on the loss and the accuracy."""
    found = read()
    zero, random = found["zero"], found["random"]
    last = str(len(zero["losses"]))
    blocks = range(CONFIG.num_hidden_layers)
    head = ["after step", *(f"block {block}" for block in blocks)]
    rows = [
        [
            step,
            *(f"{share:.1g}" if share < 0.1 else f"{share:.2f}" for share in zero["shares"][step]),
        ]
        for step in ("0", "1", "10", "50", "100", "200", last)
    ]
    top1 = [f"{100 * start['top1'][last]:.0f} %" for start in (zero, random)]
    loss = [f"{smooth(start['losses'])[-1][1]:.2f}" for start in (zero, random)]
    return f"""<div class="dense" markdown>

{table(head, rows)}
</div>

After {last} steps the loss is {loss[0]} from zero and {loss[1]} from the small model's own start
(mean of 20 steps). The models recognise {top1[0]} and {top1[1]} of {FRESH_CLIPS} clips that they
were not trained on; a guess gets {100 / CONFIG.num_labels:.0f} %.
"""


if __name__ == "__main__":
    main()
