"""Run the whole ablation, from the start or from where an earlier call ended."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from timesformer_ref.atomic import whole_file
from timesformer_ref.camera_motion.ablation.growth import grow
from timesformer_ref.camera_motion.ablation.runs import (
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
from timesformer_ref.camera_motion.ablation.tasks import make_clips
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
