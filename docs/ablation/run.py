"""Run the whole ablation: python -m docs.ablation.run FILE

Compares the five attention schemes on a task of appearance and on one of motion, and writes the
results to a JSON file. A second call with the same file continues after the last model that was
fully trained.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from docs.ablation.growth import grow
from docs.ablation.runs import FULL, RUNS, Run, Scale, run_one
from timesformer_ref.atomic import whole_file
from timesformer_ref.cli.console import out, progress_bar


def run_ablation(
    data: Path, scale: Scale = FULL, progress: Callable[[str, float], None] = lambda *_: None
) -> dict[str, Any]:
    """Train the models that are not trained yet; returns all results, and saves them to `data`.

    data: a JSON file. progress: called with a description of a model, and the part of it that is
    done. Raises OSError where `data` cannot be written.
    """
    results = _begun(data, _settings(scale))
    for run in RUNS[len(results["runs"]) :]:
        results["runs"].append(run_one(run, scale, partial(progress, str(run))))
        _write(data, json.dumps(results) + "\n")
    results["growth"] = grow()
    _write(data, json.dumps(results) + "\n")
    return results


def _settings(scale: Scale) -> dict[str, Any]:
    settings = {
        "recipe": asdict(scale.recipe),
        "config": asdict(scale.config),
        "clips": scale.fresh,
        "torch": torch.__version__,
        "machine": f"one core of an {platform.machine()} processor",
    }
    written: dict[str, Any] = json.loads(json.dumps(settings))
    return written


def _begun(data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The results of an earlier call with the same settings, or empty ones."""
    if data.exists():
        found: dict[str, Any] = json.loads(data.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in settings} == settings:
            return found
    return {**settings, "runs": []}


def _write(path: Path, text: str) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def main() -> None:
    """Run the ablation and print how often each model is right."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.ablation.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="FILE", help="the file for the results, JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with progress_bar() as bar:
        task = bar.add_task("the first step", total=1.0)
        results = run_ablation(
            args.data,
            progress=lambda what, part: bar.update(task, description=what, completed=part),
        )
    for run in results["runs"]:
        name = Run(*(run[field.name] for field in fields(Run)))
        out.print(f"{100 * run['top1']:5.1f} %  {name}")


if __name__ == "__main__":
    main()
