"""Training the small model of camera moves."""

from __future__ import annotations

from dataclasses import asdict

from timesformer_ref.camera_motion import clips
from timesformer_ref.camera_motion.model import EASY, PREPROCESSING, untrained
from timesformer_ref.camera_motion.moves import LABELS
from timesformer_ref.training.jobs import Job
from timesformer_ref.training.recipe import Recipe

CAMERA_MOTION = "camera-motion"
"""The name of the recipe that makes its own clips and model."""

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


def camera_motion_job(recipe: Recipe, seed: int) -> Job:
    """The job of training the small model from initial values, on clips of growing difficulty."""
    easy = round(EASY * (recipe.steps or 0) * recipe.batch_size)
    model = untrained(seed=seed)
    model.labels, model.preprocessing = LABELS, asdict(PREPROCESSING)
    return Job(
        model,
        clips.TrainingClips(PREPROCESSING, seed, easy),
        clips.fresh_clips(PREPROCESSING, 500),
        {"clips": CAMERA_MOTION, "easy": easy},
    )
