"""The libraries that the package asks for: licences, reasons, and what works with which extra."""

from __future__ import annotations

import json
import re
from importlib.metadata import metadata
from pathlib import Path

from docs.making.citation import PROJECT
from docs.making.tables import table

REASONS = {
    "av": "decodes videos, by FFmpeg",
    "einops": "regroups tokens by patterns, of which the table of schemes is made",
    "huggingface-hub": "fetches published models, and keeps them",
    "jaxtyping": "shapes in annotations, which the tests check",
    "numpy": "the specification is written in it",
    "pyyaml": "reads the config in the original's checkpoints",
    "rich": "tables and progress of the commands",
    "safetensors": "reads and writes weights without running code",
    "scipy": "the error function of the exact GELU; statistics of the suite",
    "torch": "the fast implementation and training",
    "typer": "the commands, from annotated functions",
    "matplotlib": "draws attention, timelines and a run's losses",
    "accelerate": "several devices, mixed precision and accumulation in training",
    "pillow": "writes animated pictures; augments frames as the original does",
    "tensorboard": "writes a run's curves for TensorBoard",
    "beartype": "checks types and shapes while the tests run",
    "hypothesis": "draws the suite's inputs, and shrinks those that fail",
    "pytest": "runs the suite",
    "pytest-cov": "measures which branches the tests take",
    "pytest-xdist": "runs the suite in several processes",
    "scikit-image": "judges camera motion independently of the model",
    "transformers": "the peer, in tests and in `bench`",
}
USERS = ("pictures", "train", "tensorboard", "test", "peers")
"""The extras that users install; the others are for work on this project."""


def write_dependencies(file: Path) -> None:
    """Write a row for each library. Raises KeyError for one whose reason is not given."""
    groups = {"": PROJECT["dependencies"]}
    groups |= {extra: PROJECT["optional-dependencies"][extra] for extra in USERS}
    rows = []
    for extra, lines in groups.items():
        for line in lines:
            name, bounds = re.fullmatch(r"([\w-]+)(?:\[.*\])?(.*)", line).groups()
            if name != PROJECT["name"]:
                where = f"`[{extra}]`" if extra else "always"
                rows.append([name, bounds, where, licence(name), REASONS[name]])
    head = ["library", "versions", "installed", "licence", "what for"]
    file.write_text(table(head, rows), encoding="utf-8")


def write_installs(data: Path, file: Path) -> None:
    """Write a row for each command: what it does in each installation, or the extra it asks for."""
    found = json.loads(data.read_text("utf-8"))
    words = {"yes": "yes"} | {extra: f"asks for `[{extra}]`" for extra in (*USERS, "export")}
    rows = [
        [f"`{task}`" if " to " not in task else task, *(words[found[e][task]] for e in found)]
        for task in found[""]
    ]
    head = ["", "`timesformer-ref`", *(f"`timesformer-ref[{extra}]`" for extra in found if extra)]
    file.write_text(table(head, rows), encoding="utf-8")


def licence(name: str) -> str:
    """What a library's own metadata state, in the first line."""
    about = metadata(name)
    kinds = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier", ()) if "License" in c]
    stated = about["License-Expression"] or ", ".join(kinds) or about["License"] or "not stated"
    return str(stated).partition("\n")[0]
