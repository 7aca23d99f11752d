"""The experiment as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from timesformer_ref.config import SCHEMES
from timesformer_ref.experiment.tasks import APPEARANCES

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


def page(results: Results, pictures: str = "") -> str:
    """The page about results; its pictures lie in the folder `pictures`, which ends in a slash."""
    recipe, config = results["recipe"], results["config"]
    clips = recipe["steps"] * recipe["batch_size"]
    return f"""# The experiment

The paper compares five attention schemes on hundreds of thousands of real videos and in hundreds of
GPU hours. This page asks the same questions in miniature, of generated clips and on a laptop:

```
timesformer-ref experiment docs
```

**Two tasks, the same clips.** A camera moves over a picture. *Motion*: which of nine moves was it?
The picture says nothing about it, and a single frame nothing either; only the order of the frames
does. *Appearance*: which of {len(APPEARANCES)} kinds of picture is it ({", ".join(APPEARANCES)})?
One frame is enough.

**One size for all.** {config["num_frames"]} frames of {config["image_size"]} ×
{config["image_size"]} pixels, patches of {config["patch_size"]}, {config["num_hidden_layers"]}
blocks of width {config["hidden_size"]}, {clips:,} clips in batches of {recipe["batch_size"]}, the
same clips in the same order, one seed; figures on {results["clips"]:,} clips that none was trained
on. The time embedding starts with sinusoids (see below why). {results["machine"]}, PyTorch
{results["torch"]}: {results["minutes"]} minutes in all.

## The five schemes

{_schemes_table(results)}

*Axis*: moving clips of which at least the axis of the movement was told. *Direction*: of these,
those of which the right one of the two directions was told; a coin would get 50 %. Multiply-adds
are those of one clip, time is that of a training step against divided attention, measured in turn.
The last column is the paper's table 1, top-1 on Kinetics-400 and Something-Something-V2.

![Accuracy of the five schemes against clips seen]({pictures}learning.svg)

## What it costs

ViT-Base at the paper's sizes: lines are predicted from the step table
(`timesformer_ref.cost.multiply_adds`), points are what PyTorch counts while the model runs. The two
agree to the last operation. The paper's figure 3 shows the first two schemes that see time: joint
attention grows with the square of the clip, divided nearly in a straight line.

![Cost of the five schemes against frames and frame size]({pictures}growth.svg)

## Position embeddings

Divided attention with less to tell places by, as in the paper's table 4.

{_positions_table(results)}

## How the time embedding starts

The original starts its time embedding at zero, which suits a model whose patches were trained on
images before. From nothing it is a poor start: while all frames have the same place, the model
cannot see their order, so it learns the axis of a movement (which needs none) but not the
direction, and nothing pulls it away from there. Divided attention on motion, with sinusoids of this
size:

{_starts_table(results)}
"""


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
                _percent(motion["direction"]),
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
                _percent(motion["direction"]),
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
            [f"{run['time_start']:g}", *(_percent(run[n]) for n in ("top1", "axis", "direction"))]
            for run in sorted(runs, key=lambda run: run["time_start"])
        ),
    )


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
