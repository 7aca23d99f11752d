"""Fragments for reference: published checkpoints, weights, and the help of every command."""

from __future__ import annotations

import os
import subprocess
import sys

from docs.making.names import NAMES
from docs.making.tables import table
from timesformer_ref.checkpoints.variants import VARIANTS
from timesformer_ref.cli import COMMANDS
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.default_model import FILE
from timesformer_ref.schemes import SCHEMES, step_prefix
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


def variants_table() -> str:
    """The published checkpoints, from the table that `--variant` reads."""
    rows = []
    for v in VARIANTS:
        order = v.preprocessing.channel_order
        hub = f"[`{v.hub}`](https://huggingface.co/{v.hub})" if v.hub else ""
        rows.append(
            [v.model,
             f"{v.dataset}, {v.classes}" + (f", {order.upper()}" if order != "rgb" else ""),
             f"{v.frames} × {v.rate}" if v.rate else f"{v.frames}, segments",
             str(v.crop), f"{v.top1}", f"{v.top5}" if v.top5 else "",
             "<br>".join(filter(None, [f"`{v.file}`", hub]))]
        )  # fmt: skip
    head = ["model", "data set, classes", "frames × rate", "crop", "top-1", "top-5"]
    return table([*head, "original file, hub id"], rows)


def weights_tables() -> str:
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
        [
            NAMES[scheme],
            ", ".join(
                f"{s}: " + (f"`{p}`" if (p := step_prefix(scheme, s)) else "no prefix")
                for s in steps
            ),
        ]
        for scheme, steps in SCHEMES.items()
    ]
    return f"""### Embeddings

{table(head, rows(EMBEDDINGS + TIME))}
Space-only models have no `time_embed`.

### In each block: every step but the last

{table(head, rows(EARLIER_STEP, "STEP_"))}
`transformers` has the temporal step only.

### In each block: the last step and the MLP

{table(head, rows(LAST_STEP + MLP))}
### Classifier

{table(head, rows(CLASSIFIER))}
### Prefixes of the steps

{table(["scheme", "prefix"], prefixes)}
### Numbers of parameters

For ViT-Base with 8 frames of 224 pixels and 400 classes:

{table(["scheme", "steps", "parameters"], counts)}"""


def help_of_commands() -> str:
    """The help of every command, as the program prints it."""
    environment = os.environ | {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb"}

    def help_of(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "timesformer_ref", *command, "--help"],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        return done.stdout.replace("python -m timesformer_ref", "timesformer-ref").strip("\n")

    return "\n".join(f"### {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS)


def card() -> str:
    """The card of the model in the package, without its title, its headings one level lower."""
    text = FILE.with_name("README.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].replace("\n## ", "\n### ")
