"""The whole ablation, from nothing or from where it was broken off."""

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
    carry_out,
    time_steps,
)
from timesformer_ref.camera_motion.ablation.tasks import make_clips
from timesformer_ref.training.loop import Report


def conduct(
    data: Path, quick: bool, progress: Callable[[str, float], None] = lambda what, part: None
) -> dict[str, Any]:
    """Train what is not trained yet; returns all results, which the file `data` keeps as JSON.

    quick: smaller models, fewer and smaller clips. progress: called with what is being done, and
    which part of it lies behind.
    Raises OSError where `data` cannot be written.
    """
    scale = QUICK if quick else FULL
    results = _begun(data, _settings(scale))
    done, steps = len(results["runs"]), scale.recipe.steps or 1
    if done < len(RUNS):
        began = time.perf_counter()
        count = steps * scale.recipe.batch_size
        told = partial(progress, "making the clips")
        clips = make_clips(scale.preprocessing, SEED, count, os.cpu_count() or 1, told)
        fresh = make_clips(scale.preprocessing, FRESH_SEED, scale.fresh)
        results["minutes"] += (time.perf_counter() - began) / 60
    for number, run in enumerate(RUNS[done:], start=done):
        began = time.perf_counter()

        def report(told: Report, number: int = number, run: Run = run) -> None:
            progress(str(run), (number + told.step / steps) / len(RUNS))

        results["runs"].append(carry_out(run, scale, clips, fresh, report))
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
    """What an earlier call with the same settings has done, or nothing yet."""
    if data.exists():
        found: dict[str, Any] = json.loads(data.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in settings} == settings:
            return found
    return {**settings, "runs": [], "minutes": 0.0}


def _write(path: Path, text: str) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
