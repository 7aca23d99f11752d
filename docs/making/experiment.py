"""The experiment as the last part of the chapter on training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.camera_motion.ablation.tasks import APPEARANCES, CLASSES
from docs.camera_motion.train import RECIPE
from docs.making.tables import of_lines
from timesformer_ref.schemes import SCHEMES

Results = Mapping[str, Any]
PAPER = {
    "space_only": (76.9, 36.6),
    "joint_space_time": (77.4, 58.5),
    "divided_space_time": (78.0, 59.5),
    "sparse_local_global": (75.9, 56.3),
    "axial": (73.5, 56.2),
}
"""Top-1 on Kinetics-400, where appearance tells most, and Something-Something, where movement does
(paper, table 1)."""
PAPER_POSITIONS = {"none": (75.4, 45.8), "space": (77.8, 52.5), "space-time": (78.0, 59.5)}
"""The same by position embedding (paper, table 4)."""


def plain_runs(runs: Iterable[Results]) -> list[Results]:
    """Those of the five schemes."""
    return [run for run in runs if run["positions"] == "space-time" and run["time_start"] == 1]


def experiment_part(data: Path) -> str:
    """The part about the results of an ablation."""
    return part(json.loads(data.read_text("utf-8")))


def part(results: Results) -> str:
    """The part about results."""
    recipe, config = results["recipe"], results["config"]
    size, clips = config["image_size"], recipe["steps"] * recipe["batch_size"]
    return f"""## The experiment: which scheme learns motion first?

This experiment shows how soon each of the five attention schemes learns motion from random
weights, with one seed and {clips:,} clips; it does not show what a scheme can learn in the end.
Where a scheme stays at chance, that is a statement about this budget.

The paper compares the schemes on hundreds of thousands of real videos, in hundreds of GPU hours.
One command asks the same questions in miniature, with generated clips on a CPU, and writes the data
of this part:

```sh
python -m docs.camera_motion.ablation.run docs/experiment/results.json
```

**Two tasks, the same clips.** A camera moves over a picture. *Motion*: which of nine movements is
it? No single frame shows it. Frames compared in any order can show the axis of a movement; only
their order shows its direction. *Appearance*:
which of {len(APPEARANCES)} kinds of picture is it ({", ".join(APPEARANCES)})?
One frame is enough.

**One size for all.** {config["num_frames"]} frames of {size} × {size} pixels in patches of
{config["patch_size"]}, {config["num_hidden_layers"]} blocks of width {config["hidden_size"]};
{clips:,} clips in batches of {recipe["batch_size"]}, the same in the same order; one seed. The
tables rest on {results["clips"]:,} clips that none was trained on, the points of the curves on
{results["clips"] // 4:,} of them. Time embeddings start with
sinusoids of amplitude 1 ([why](#how-the-time-embedding-starts)). On {results["machine"]} with
PyTorch {results["torch"]} all of it took {results["minutes"]:.0f} minutes.

### The five schemes

<div class="dense" markdown>

{_schemes_table(results)}

</div>

*Axis*: the share of the moving clips for which at least the axis was right (pan, tilt, zoom or
roll); a guess among the four gets 25 %, and a model that always answers "static" gets none.
*Direction*: of these, the share for which the direction was right too; a coin gets 50 %, and –
means that there were none. Multiply-adds are those of one clip; time is that of a training step
relative to divided attention. The last column is the paper's table 1: top-1 on Kinetics-400, where
a single frame often is enough, and on Something-Something-V2, where movement counts.

![Accuracy on motion and appearance against clips seen](../experiment/learning.svg)

{_what_came_out(results)}

### What it costs

The paper's figure 3, with all five schemes: ViT-Base, lines predicted from the step table
(`timesformer_ref.benchmark.cost.multiply_adds`), points counted by PyTorch while the model runs.
{_agreement(results)} Joint attention compares every patch with every other, so its comparisons rise
with the square of the clip, and in long clips they are most of its cost. Divided attention's cost
rises almost in proportion. {_rise(results)}

![Cost of the five schemes against frames and against frame size](../experiment/growth.svg)

### Position embeddings

Divided attention with fewer position embeddings; the last column is the paper's table 4.

{_positions_table(results)}

### How the time embedding starts

The original starts its time embedding at zero, in a model whose patches were trained on images
before. While it is zero the model sees frames without order; then a movement and its reverse look
alike, and the axis of a movement can be learned but not its direction. This is divided attention on
motion, by the amplitude of the sinusoids that the time embedding starts with:

{_starts_table(results)}
"""


def _what_came_out(results: Results) -> str:
    """What each scheme has learnt of motion, in words."""
    learnt: dict[str, list[str]] = {"direction": [], "axis": [], "nothing": []}
    for run in plain_runs(results["runs"]):
        if run["task"] == "motion":
            name = run["attention_type"].replace("_", " ")
            learnt[what_was_learnt(run, results["clips"])].append(
                f"{name} ({_percent(run['top1'])})"
            )
    told = {kind: ", ".join(names) or "none" for kind, names in learnt.items()}
    space_only = _found(results, task="motion", attention_type="space_only")
    recipe = RECIPE
    shipped = (recipe.steps or 0) * recipe.batch_size
    return f"""**Space-only** averages its frames and cannot know their order: a movement and its
reverse look the same to it. It recognises {_percent(space_only["top1"])} of the movements; chance
is {_percent(1 / len(CLASSES["motion"]))}.

Within this budget,

- these learned the direction, beyond what a coin might get: {told["direction"]};
- these learned the axis, but not the direction: {told["axis"]};
- these learned neither: {told["nothing"]}.

The model in the package has seen {shipped:,} clips. In the paper, where the
schemes start from image weights, those that see time are within a few per cent of each other."""


def what_was_learnt(run: Results, clips: int) -> str:
    """What a model knows of motion: `direction`, four deviations from a coin; `axis`; `nothing`.

    Four kinds of movement and one of none: an axis in four or fewer is chance.
    """
    moving = max(round(clips * 8 / 9 * run["axis"]), 1)
    if run["axis"] < 0.3:
        return "nothing"
    return "direction" if run["direction"] - 0.5 > 4 * 0.5 / moving**0.5 else "axis"


def _agreement(results: Results) -> str:
    same = all(row["predicted"] == row["counted"] for row in results["growth"])
    return "They agree to the last operation." if same else "They differ."


def _rise(results: Results) -> str:
    """How much more the clip with most frames costs than that with fewest, in words."""
    size = results["growth"][0]["size"]
    rows = [row for row in results["growth"] if row["size"] == size]
    cost = {(row["attention_type"], row["frames"]): row["predicted"] for row in rows}
    frames = [t for _, t in cost]
    joint, divided = (
        cost[scheme, max(frames)] / cost[scheme, min(frames)]
        for scheme in ("joint_space_time", "divided_space_time")
    )
    return f"""{max(frames) // min(frames)} times the frames cost joint
attention {joint:.1f} times as much, divided attention {divided:.1f} times."""


def _found(results: Results, **wanted: Any) -> Results:
    wanted = {"positions": "space-time", "time_start": 1.0} | wanted
    return next(run for run in results["runs"] if all(run[name] == v for name, v in wanted.items()))


def _schemes_table(results: Results) -> str:
    found = {(run["task"], run["attention_type"]): run for run in plain_runs(results["runs"])}
    reference = results["step_seconds"]["divided_space_time"]
    return _table(
        ["scheme", "motion", "axis", "direction", "appearance", "parameters", "multiply-adds",
         "time a step", "paper"],
        (
            [
                scheme.replace("_", " "),
                _percent((motion := found["motion", scheme])["top1"]),
                _percent(motion["axis"]),
                _direction(motion),
                _percent(found["appearance", scheme]["top1"]),
                f"{motion['parameters']:,}",
                f"{motion['multiply_adds'] / 1e6:.1f} M",
                f"{results['step_seconds'][scheme] / reference:.2f}",
                "{} / {}".format(*PAPER[scheme]),
            ]
            for scheme in SCHEMES
        ),
    )  # fmt: skip


def _positions_table(results: Results) -> str:
    found = {
        (run["task"], run["positions"]): run
        for run in results["runs"]
        if run["attention_type"] == "divided_space_time" and run["time_start"] == 1
    }
    return _table(
        ["positions", "motion", "axis", "direction", "appearance", "paper"],
        (
            [
                known,
                _percent((motion := found["motion", known])["top1"]),
                _percent(motion["axis"]),
                _direction(motion),
                _percent(found["appearance", known]["top1"]),
                "{} / {}".format(*PAPER_POSITIONS[known]),
            ]
            for known in PAPER_POSITIONS
        ),
    )


def _starts_table(results: Results) -> str:
    runs = [
        run
        for run in results["runs"]
        if run["task"] == "motion"
        and run["attention_type"] == "divided_space_time"
        and run["positions"] == "space-time"
    ]
    return _table(
        ["size at the start", "motion", "axis", "direction"],
        (
            [
                f"{run['time_start']:g}",
                _percent(run["top1"]),
                _percent(run["axis"]),
                _direction(run),
            ]
            for run in sorted(runs, key=lambda run: run["time_start"])
        ),
    )


def _direction(run: Results) -> str:
    return _percent(run["direction"]) if run["axis"] else "–"


def _percent(part: float) -> str:
    return f"{100 * part:.1f}\N{NO-BREAK SPACE}%"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return of_lines(lines)
