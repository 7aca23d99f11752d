"""The experiment as the last part of the chapter on training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from docs.ablation.tasks import CLASSES
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
"""Top-1 on Kinetics-400, where appearance counts most, and Something-Something, where movement does
(paper, table 1)."""
PAPER_POSITIONS = {"none": (75.4, 45.8), "space": (77.8, 52.5), "space-time": (78.0, 59.5)}
"""The same by position embedding (paper, table 4)."""
LEARNED = {
    "direction": "the direction, with every seed",
    "some": "the direction, but not with every seed",
    "axis": "the axis, but not the direction",
    "nothing": "neither, with one seed at least",
}
"""What a scheme has learned of motion, in words."""


def experiment_part(data: Path) -> str:
    """The part about the results of an ablation."""
    return part(json.loads(data.read_text("utf-8")))


def part(results: Results) -> str:
    """The part about results."""
    recipe, config = results["recipe"], results["config"]
    size, clips = config["image_size"], recipe["steps"] * recipe["batch_size"]
    seeds = len({run["seed"] for run in results["runs"]})
    minutes = sum(run["seconds"] for run in results["runs"]) / 60
    return f"""## The experiment: which scheme learns motion first?

This experiment shows how soon small models with each of the five attention schemes learn the
direction of a movement from random weights, within {clips:,} clips and with {seeds} seeds; it does
not show what a scheme can learn in the end. Where one lags behind, that is a statement about this
budget.

The paper compares the schemes on hundreds of thousands of real videos, in hundreds of GPU hours.
One command asks the same questions in miniature, with generated clips on a CPU, and writes the data
of this part:

```sh
python -m docs.ablation.run docs/experiment/results.json
```

**Two tasks, the same clips.** A bright shape moves over a dark ground, with some noise. *Motion*:
which way does it move ({_either("motion")})? No single frame shows it. Frames in any order can show
the axis; only their order shows the direction. *Appearance*: which shape is it
({_either("appearance")})? One frame is enough. In both a guess gets 25 %.

![Four clips, frame by frame](../experiment/clips.svg)

**One size for all.** {config["num_frames"]} frames of {size} × {size} grey pixels in patches of
{config["patch_size"]} × {config["patch_size"]}, {config["num_hidden_layers"]} blocks of width
{config["hidden_size"]}; {recipe["steps"]} steps of {recipe["batch_size"]} clips, none of which
comes twice. A seed decides the initial weights and the training clips; {results["clips"]:,} other
clips, the same for all, are for evaluation. Position embeddings start with standard deviation 0.5
and time embeddings with sinusoids of amplitude 1 ([why](#how-the-time-embedding-starts)). The
{len(results["runs"])} models took {minutes:.0f} minutes of processor time on {results["machine"]}
with PyTorch {results["torch"]}.

### The five schemes

<div class="dense" markdown>

{_schemes_table(results)}

</div>

Each cell is the mean of {seeds} seeds, with the lowest and the highest in parentheses where they
differ. *Axis*: how often at least the axis was right, horizontal or vertical. *Direction*: of these
clips, how often the direction was right too. A coin gets 50 % of either. Multiply-adds are those of
one clip; time is processor time for a whole run, relative to divided attention. The last column is
the paper's table 1: top-1 on Kinetics-400, where a single frame is often enough, and on
Something-Something-V2, where movement counts.

![Accuracy on motion and appearance against training clips: a line for the mean of the seeds of each
scheme, a band from the lowest to the highest](../experiment/learning.svg)

{_what_came_out(results)}

### What it costs

The paper's figure 3, with all five schemes: ViT-Base, lines predicted from the step table
(`timesformer_ref.benchmark.cost.multiply_adds`), points counted by PyTorch while the model runs.
{_agreement(results)} Joint attention compares every patch with every other, so its comparisons rise
with the square of the number of patches, and in long clips they are most of its cost. Divided
attention's cost rises almost in proportion to it. {_rise(results)}

![Cost of the five schemes against frames and against frame size](../experiment/growth.svg)

### Position embeddings

Divided attention on motion with fewer position embeddings; the last column is the paper's table 4.

{_positions_table(results)}

### How the time embedding starts

The original starts its time embedding at zero, in a model that was trained on images
before. While it is zero the model sees frames without order; then a movement and its reverse look
alike, and the axis of a movement can be learned but not its direction. This is divided attention on
motion, by the amplitude of the sinusoids that the time embedding starts with:

{_starts_table(results)}
"""


def plain_runs(results: Results, task: str) -> dict[str, list[Results]]:
    """The runs of a task by scheme, a run per seed, with all embeddings."""
    return {scheme: _found(results, task=task, attention_type=scheme) for scheme in SCHEMES}


def _found(results: Results, **wanted: Any) -> list[Results]:
    wanted = {
        "task": "motion",
        "attention_type": "divided_space_time",
        "positions": "space-time",
        "time_start": 1.0,
    } | wanted
    return [run for run in results["runs"] if all(run[name] == v for name, v in wanted.items())]


def _either(task: str) -> str:
    *names, last = CLASSES[task]  # type: ignore[index]
    return f"{', '.join(names)} or {last}"


def _what_came_out(results: Results) -> str:
    """What each scheme has learned of motion, in words."""
    motion, seen = plain_runs(results, "motion"), plain_runs(results, "appearance")
    learned: dict[str, list[str]] = {kind: [] for kind in LEARNED}
    for scheme, runs in motion.items():
        learned[what_was_learned(runs, results["clips"])].append(
            f"{_words(scheme)} ({_percent(mean(run['top1'] for run in runs))})"
        )
    kinds = "\n".join(
        f"- {LEARNED[kind]}: {', '.join(names)}" for kind, names in learned.items() if names
    )
    return f"""**Space-only** averages its frames and cannot know their order: a movement and its
reverse look the same to it. It recognises {_spread(motion["space_only"], "top1")} of the movements,
and {_spread(seen["space_only"], "top1")} of the shapes.

Beyond chance (four standard deviations), within this budget, these schemes learned

{kinds}

In the paper, where the schemes start from image weights, those that see time are within a few per
cent of each other."""


def what_was_learned(runs: Sequence[Results], clips: int) -> str:
    """What models of several seeds know of motion, as a name in `LEARNED`."""
    axis = [_beyond_a_coin(run["axis"], clips) for run in runs]
    direction = [_beyond_a_coin(run["direction"], clips * run["axis"]) for run in runs]
    if any(direction):
        return "direction" if all(direction) else "some"
    return "axis" if all(axis) else "nothing"


def _beyond_a_coin(part: float, clips: float) -> bool:
    return part - 0.5 > 4 * 0.5 / max(clips, 1) ** 0.5


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


def _schemes_table(results: Results) -> str:
    motion, seen = plain_runs(results, "motion"), plain_runs(results, "appearance")
    seconds = {scheme: mean(run["seconds"] for run in runs) for scheme, runs in motion.items()}
    return _table(
        ["scheme", "motion", "axis", "direction", "appearance", "parameters", "multiply-adds",
         "time", "paper"],
        (
            [
                _words(scheme),
                *_scores(motion[scheme]),
                _spread(seen[scheme], "top1"),
                f"{motion[scheme][0]['parameters']:,}",
                f"{motion[scheme][0]['multiply_adds'] / 1e6:.1f} M",
                f"{seconds[scheme] / seconds['divided_space_time']:.2f}",
                "{} / {}".format(*PAPER[scheme]),
            ]
            for scheme in SCHEMES
        ),
    )  # fmt: skip


def _positions_table(results: Results) -> str:
    return _table(
        ["positions", "motion", "axis", "direction", "paper"],
        (
            [known, *_scores(_found(results, positions=known)), "{} / {}".format(*paper)]
            for known, paper in PAPER_POSITIONS.items()
        ),
    )


def _starts_table(results: Results) -> str:
    return _table(
        ["amplitude at the start", "motion", "axis", "direction"],
        ([f"{size:g}", *_scores(_found(results, time_start=size))] for size in (0.0, 1.0)),
    )


def _scores(runs: Sequence[Results]) -> Iterator[str]:
    return (_spread(runs, name) for name in ("top1", "axis", "direction"))


def _spread(runs: Sequence[Results], name: str) -> str:
    """The mean of the runs, with the lowest and the highest where they differ."""
    parts = [run[name] for run in runs]
    low, high = (f"{100 * part:.0f}" for part in (min(parts), max(parts)))
    return _percent(mean(parts)) + (f" ({low}–{high})" if low != high else "")


def _percent(part: float) -> str:
    return f"{100 * part:.0f}\N{NO-BREAK SPACE}%"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return of_lines(lines)
