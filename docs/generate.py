"""Write every generated page and figure of the site: python docs/generate.py [FOLDER]."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from einops import rearrange
from suite_pages import conformance_page, mutants_page

from timesformer_ref.cli import COMMANDS
from timesformer_ref.config import SCHEMES, STEPS, Step, TimeSformerConfig, step_prefix
from timesformer_ref.default_model import FILE
from timesformer_ref.variants import VARIANTS
from timesformer_ref.weights import (
    CLASSIFIER,
    EARLIER_STEP,
    EMBEDDINGS,
    LAST_STEP,
    MLP,
    TIME,
    Row,
    count_parameters,
)

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

FRAMES, SIDE = 4, 4
QUERY = (1, 1, 2)
COLOURS = {"query": "#c2410c", "group": "#f59e0b", "other": "#94a3b833", "text": "#808890"}
NAMES = {scheme: scheme.replace("_", " ") for scheme in SCHEMES}


def group_of(step: Step, query: tuple[int, int, int]) -> np.ndarray:
    """Which patches of a small clip share a group with one: t h w, true or false."""
    grid = FRAMES, SIDE, SIDE
    cube = np.arange(FRAMES * SIDE * SIDE).reshape(grid)
    sequence = rearrange(cube, "t h w -> 1 (h w t) 1")
    groups = rearrange(sequence, step.group, **step.lengths(1, grid))[..., 0]
    mine = groups[(groups == cube[query]).any(axis=1)]
    return np.isin(cube, mine)


def draw_schemes(path: Path) -> None:
    """The five schemes: for one patch, whom it looks at in each step."""
    mpl.rcParams.update(
        {"svg.hashsalt": "timesformer_ref", "font.size": 11, "svg.fonttype": "path"}
    )
    columns = max(map(len, SCHEMES.values()))
    figure, axes = plt.subplots(len(SCHEMES), columns, figsize=(9.6, 7.2))
    for row, (scheme, steps) in zip(axes, SCHEMES.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        row[0].text(-0.4, 5.6, NAMES[scheme], color=COLOURS["text"], weight="bold", size=12)
        for number, (axis, step) in enumerate(zip(row, steps, strict=False), start=1):
            draw_step(axis, step, f"{number}. {step}" if len(steps) > 1 else step)
    figure.tight_layout(pad=0.4, h_pad=0.9)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def draw_step(axis: plt.Axes, step: str, title: str) -> None:
    """Four frames side by side; the patch that looks, and those it sees."""
    seen = group_of(STEPS[step], QUERY)
    for t, y, x in np.ndindex(seen.shape):
        kind = "query" if (t, y, x) == QUERY else "group" if seen[t, y, x] else "other"
        corner = t * (SIDE + 0.8) + x, SIDE - 1 - y
        axis.add_patch(Rectangle(corner, 0.9, 0.9, color=COLOURS[kind], linewidth=0))
    axis.set_xlim(-0.5, FRAMES * (SIDE + 0.8))
    axis.set_ylim(-1.3, SIDE + 2.4)
    axis.set_aspect("equal")
    axis.text(-0.1, -1.1, title, color=COLOURS["text"])


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def variants_page() -> str:
    """The published checkpoints, from the table that `--variant` reads."""
    rows = [
        [
            v.model,
            v.dataset,
            str(v.classes),
            f"{v.frames} × {v.rate}" if v.rate else f"{v.frames}, segments",
            str(v.crop),
            v.preprocessing.channel_order.upper(),
            f"{v.top1}",
            f"{v.top5}" if v.top5 else "",
            f"`{v.file}`",
            f"`{v.hub}`" if v.hub else "",
        ]
        for v in VARIANTS
    ]
    head = ["model", "dataset", "classes", "frames × rate", "crop", "channels", "top-1", "top-5",
            "original file", "hub id"]  # fmt: skip
    return f"""# Published checkpoints

The thirteen files of the original repository's model zoo, all ViT-Base with patch 16, width 768,
12 blocks, 12 heads and divided space-time attention. Mean 0.45 and standard deviation 0.225 for
every channel. Accuracy as the authors report it, per cent: three crops of one clip, for HowTo100M
of as many clips as cover the video.

Name one with `--variant`, by any words that only it has: `--variant 'K400 HR'`.

{table(head, rows)}
The HowTo100M file of 64 frames is listed with a crop of 448 pixels, while its name says 224; the
reader takes the geometry from the tensors.
"""


def weights_page() -> str:
    """Every weight, from the table that loading, checking and converting read."""

    def rows(part: tuple[Row, ...], step: str = "") -> list[list[str]]:
        return [
            [f"`{row.name.format(i='I', step=step)}`",
             f"`{row.hugging_face.format(i='I', step=step)}`",
             " × ".join(row.shape.split()), row.start.replace("_", "-"), row.meaning]
            for row in part
        ]  # fmt: skip

    head = ["name (original)", "name (transformers)", "shape", "start", "meaning"]
    counts = [
        [
            NAMES[scheme],
            ", ".join(steps),
            f"{count_parameters(TimeSformerConfig(attention_type=scheme)):,}",
        ]
        for scheme, steps in SCHEMES.items()
    ]
    prefixes = [
        [NAMES[scheme], ", ".join(f"{s}: `{step_prefix(scheme, s) or 'none'}`" for s in steps)]
        for scheme, steps in SCHEMES.items()
    ]
    return f"""# Weights

d is the width, c channels, p the patch size, n the patches of a frame, t frames, m the width of the
MLP, l labels. `I` is a block's number, `STEP` an attention step's name. Starts: `normal` with
standard deviation 0.02 (cut at ±2), `fan-in` uniform within 1/√(c·p·p), zeros, ones.

## Embeddings

{table(head, rows(EMBEDDINGS + TIME))}
Space-only models have no `time_embed`.

## In each block: every step but the last

{table(head, rows(EARLIER_STEP, "STEP_"))}
`transformers` has the temporal step only.

## In each block: the last step and the MLP

{table(head, rows(LAST_STEP + MLP))}
## Classifier

{table(head, rows(CLASSIFIER))}
## Prefixes of the steps

{table(["scheme", "prefix"], prefixes)}
## Parameters

Of ViT-Base with 8 frames of 224 pixels and 400 classes:

{table(["scheme", "steps", "parameters"], counts)}"""


def command_line_page() -> str:
    """The help of every command, as the program prints it."""
    environment = os.environ | {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb"}

    def help_of(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "timesformer_ref", *command, "--help"],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        return done.stdout.replace("python -m timesformer_ref", "timesformer-ref").strip("\n")

    names = [command.__name__ for command in COMMANDS]
    sections = [f"## {name}\n\n```text\n{help_of(name)}\n```\n" for name in names]
    return f"""# Command line

`timesformer-ref`, also `python -m timesformer_ref`. Errors are one line on standard error; the exit
code is 2 for wrong use and 1 for a failure.

{chr(10).join(sections)}"""


def timings_table(found: dict[str, Any]) -> str:
    """One run of the benchmark: what was timed, and on what."""
    rows = [
        [
            t["name"],
            f"{t['median_seconds']:.2f} s",
            f"{t['ratio']:.2f}",
            f"{t['floor_ratio']:.2f}",
            "" if t["difference"] is None else f"{t['difference']:.1e}",
        ]
        for t in found["timings"]
    ]
    head = ["", "median time of a clip", "to transformers", "to the products", "off by"]
    return f"""## {found["dtype"]}

{found["case"]}, one clip, {found["repeats"]} rounds, on {found["machine"]}.

{table(head, rows)}"""


def performance_page(data: Path) -> str:
    """The last benchmarks' figures. Raises FileNotFoundError where there are none."""
    names = "bench.json", "bench-bfloat16.json"
    tables = [timings_table(json.loads((data / name).read_text())) for name in names]
    return f"""# Performance

In each round all run in turn. Ratios are medians of the rounds' ratios to the first row and to the
last, the original's linear layers as bare matrix products with nothing between them. The last
column is the largest difference of any logit from the first row's, in parts of the largest logit.

{chr(10).join(tables)}
## Measure

Repeat it on your machine:

```sh
timesformer-ref bench --compile --json bench.json
timesformer-ref bench --dtype bfloat16 --json bench-bfloat16.json
```

`--frames`, `--size` and `--scheme` time other cases.

## Folding

`fold(model)` of `timesformer_ref.torch_blocks.fold` makes a copy for inference that computes the
same with fewer operations. Nothing is approximated:

- **One product for two.** Between the projection of an earlier step (A, a) and the linear layer
  after it (B, b) stands nothing, so `B (A x + a) + b = (B A) x + (B a + b)`: of the seventeen
  products of width d × d that a divided block computes for a patch, one is gone.
- **Norms without weights.** A LayerNorm scales by s and shifts by r; the layer that reads it has W
  and c: `W (s z + r) + c = (W diag s) z + (W r + c)`.
- **Frames as they are stored.** With `fold(model, mean, std)` the normalisation of pixels moves
  into the patch projection, and uint8 frames go in:
  `W ((x / 255 - mean) / std) = (W / (255 std)) x - W (mean / std)`.

The new weights are computed in float64 and rounded once to the model's type. A test holds the
folded model to the original one within the rounding of float64, for all five schemes, and as a
[port](../conformance.md) it passes the suite. The model that was folded stays as it was.
"""


def main(docs: Path) -> None:
    """Write figures to `assets/`, pages to `reference/`, and those about the suite beside it."""
    (docs / "reference").mkdir(exist_ok=True)
    (docs / "assets").mkdir(exist_ok=True)
    draw_schemes(docs / "assets" / "schemes.svg")
    pages = {
        "variants": variants_page(),
        "weights": weights_page(),
        "command-line": command_line_page(),
        "performance": performance_page(docs / "data"),
        "camera-motion": FILE.with_name("README.md").read_text(encoding="utf-8"),
    }
    for name, text in pages.items():
        (docs / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    for name, page in {"conformance": conformance_page, "mutants": mutants_page}.items():
        text = page(docs / "data" / f"{name}.json")
        (docs / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
