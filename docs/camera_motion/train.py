"""Train the small model: python -m docs.camera_motion.train RUN [--steps N] [--batch N] [--resume]

An example of training on data of one's own: `TrainingClips` is a Dataset whose item number k is
clip number k of the run, made when it is asked for.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from docs.camera_motion import clips
from docs.camera_motion.model import EASY, PREPROCESSING, untrained
from docs.camera_motion.moves import LABELS
from timesformer_ref.cli.console import progress_bar
from timesformer_ref.training.loop import train
from timesformer_ref.training.recipe import Recipe
from timesformer_ref.training.reporter import Reporter

RECIPE = Recipe(
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    batch_size=256,
    epochs=None,
    steps=3000,
    schedule="one_cycle",
    warm_up=0.15,
    clip_norm=1.0,
    drop_path_rate=None,
)
"""For an endless series of generated clips."""


def main() -> None:
    """Train from initial values, on clips of growing difficulty."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.camera_motion.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder for what the run writes")
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    parser.add_argument("--batch", type=int, default=RECIPE.batch_size, help="clips per step")
    parser.add_argument("--accumulate", type=int, default=1, help="parts of a step, to save memory")
    parser.add_argument("--workers", type=int, default=2, help="processes that make clips")
    parser.add_argument("--resume", action="store_true", help="continue from the last save")
    args = parser.parse_args()
    recipe = replace(RECIPE, steps=args.steps, batch_size=args.batch)
    easy = round(EASY * args.steps * args.batch)
    model = untrained()
    model.labels, model.preprocessing = LABELS, asdict(PREPROCESSING)
    with progress_bar() as progress:
        reporter = Reporter(progress, print, args.run, LABELS, batch=args.batch)
        history = train(
            model,
            clips.TrainingClips(PREPROCESSING, 0, easy),
            recipe,
            validation=clips.fresh_clips(PREPROCESSING, 500),
            out=args.run,
            resume=args.resume,
            settings={"easy": easy},
            accumulate=args.accumulate,
            workers=args.workers,
            report=reporter,
        )
    reporter.finish(history)


if __name__ == "__main__":
    main()
