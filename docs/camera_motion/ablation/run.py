"""Run the whole ablation: python -m docs.camera_motion.ablation.run FILE [--quick]

Compares the five attention schemes on a task of appearance and on one of motion, and writes the
results to a JSON file. A second call with the same file continues after the last model that was
fully trained.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from docs.camera_motion.ablation.growth import grow
from docs.camera_motion.ablation.runs import (
    FRESH_SEED,
    FULL,
    QUICK,
    RUNS,
    SEED,
    Run,
    Scale,
    run_one,
    time_steps,
)
from docs.camera_motion.ablation.tasks import make_clips
from timesformer_ref.atomic import whole_file
from timesformer_ref.cli.console import out, progress_bar
from timesformer_ref.training.loop import Report


def run_ablation(
    data: Path, quick: bool, progress: Callable[[str, float], None] = lambda what, part: None
) -> dict[str, Any]:
    """Train the models that are not trained yet; returns all results, and saves them to `data`.

    data: a JSON file. quick: smaller models, fewer and smaller clips. progress: called with a
    description of the work, and the part of it that is done.
    Raises OSError where `data` cannot be written.
    """
    scale = QUICK if quick else FULL
    results = _begun(data, _settings(scale))
    done, steps = len(results["runs"]), scale.recipe.steps or 1
    if done < len(RUNS):
        began = time.perf_counter()
        count = steps * scale.recipe.batch_size
        making = partial(progress, "making the clips")
        clips = make_clips(scale.preprocessing, SEED, count, os.cpu_count() or 1, making)
        fresh = make_clips(scale.preprocessing, FRESH_SEED, scale.fresh)
        results["minutes"] += (time.perf_counter() - began) / 60
    for number, run in enumerate(RUNS[done:], start=done):
        began = time.perf_counter()

        def report(latest: Report, number: int = number, run: Run = run) -> None:
            progress(str(run), (number + latest.step / steps) / len(RUNS))

        results["runs"].append(run_one(run, scale, clips, fresh, report))
        results["minutes"] += (time.perf_counter() - began) / 60
        _write(data, json.dumps(results) + "\n")
    if "growth" not in results:
        progress("time and cost", 1.0)
        results |= {"step_seconds": time_steps(scale, 15), "growth": grow()}
        _write(data, json.dumps(results) + "\n")
    return results


def _settings(scale: Scale) -> dict[str, Any]:
    threads = torch.get_num_threads()
    settings = {
        "recipe": asdict(scale.recipe),
        "config": asdict(scale.config),
        "clips": scale.fresh,
        "torch": torch.__version__,
        "machine": f"{threads} threads of a processor {platform.machine()}",
    }
    written: dict[str, Any] = json.loads(json.dumps(settings))
    return written


def _begun(data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The results of an earlier call with the same settings, or empty ones."""
    if data.exists():
        found: dict[str, Any] = json.loads(data.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in settings} == settings:
            return found
    return {**settings, "runs": [], "minutes": 0.0}


def _write(path: Path, text: str) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def main() -> None:
    """Run the ablation and print how often each model is right."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.camera_motion.ablation.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="FILE", help="the file for the results, JSON")
    parser.add_argument(
        "--quick", action="store_true", help="smaller models and clips: minutes, not an hour"
    )
    args = parser.parse_args()
    with progress_bar() as bar:
        task = bar.add_task("the first step", total=1.0)
        results = run_ablation(
            args.data,
            args.quick,
            lambda what, part: bar.update(task, description=what, completed=part),
        )
    for run in results["runs"]:
        name = Run(*(run[field.name] for field in fields(Run)))
        out.print(f"{100 * run['top1']:5.1f} %  {name}")


if __name__ == "__main__":
    main()
