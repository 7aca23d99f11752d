"""The hyperparameters of training as one table, and the learning rate of each step."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from timesformer_ref.config import COUNT, FLAG, PROBABILITY, Rule, check_fields, is_number
from timesformer_ref.input.preprocessing import COUNT_OR_NONE

Precision = Literal["no", "bf16", "fp16"]
"""The arithmetic of most products in training; weights stay float32."""


def _are_increasing(value: object, least: float, most: float) -> bool:
    return (
        isinstance(value, tuple)
        and all(is_number(number) and least <= number <= most for number in value)
        and list(value) == sorted(value)
    )


RULES: dict[str, Rule] = {
    "optimizer": (lambda v: v in ("sgd", "adamw"), "sgd or adamw"),
    "learning_rate": (lambda v: is_number(v) and v > 0, "a number above 0"),
    "momentum": PROBABILITY,
    "weight_decay": (lambda v: is_number(v) and v >= 0, "a number, 0 or more"),
    "batch_size": COUNT,
    "epochs": COUNT_OR_NONE,
    "steps": COUNT_OR_NONE,
    "schedule": (lambda v: v in ("steps", "one_cycle"), "steps or one_cycle"),
    "milestones": (lambda v: _are_increasing(v, 0.0, 1.0), "parts of the run, 0 to 1, in order"),
    "warm_up": PROBABILITY,
    "clip_norm": (lambda v: v is None or (is_number(v) and v > 0), "a number above 0, or None"),
    "label_smoothing": PROBABILITY,
    "shorter_side": (
        lambda v: _are_increasing(v, 1.0, 100.0) and len(v) == 2,
        "the least and the most, in sides of the crop, 1 or more",
    ),
    "inverse_scale": FLAG,
    "flip": FLAG,
    "colour_jitter": PROBABILITY,
    "last_blocks": (lambda v: v is None or (type(v) is int and v >= 0), "0 or more, or None"),
    "balanced": FLAG,
    "drop_path_rate": (lambda v: v is None or PROBABILITY[0](v), f"{PROBABILITY[1]}, or None"),
}
"""For each field of `Recipe`, what is possible."""


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of training. The defaults are the paper's (appendix; original configs).

    optimizer: `sgd` with Nesterov's `momentum`, or `adamw`. learning_rate: the highest of the run.
    weight_decay: of every weight. batch_size: clips of one step, on all devices together.
    epochs, steps: how long the run is; the other is None. An epoch is a clip of each video.
    schedule: `steps`, a tenth of the rate from each of `milestones` on, or `one_cycle`, a linear
        `warm_up` and a cosine to 0; both are parts of the run.
    clip_norm: the largest norm of all gradients together; larger ones are scaled down.
    label_smoothing: part of the target that is spread over all classes.
    shorter_side: of video files: a frame's shorter side is resized to a random length between
        these, in sides of the crop. inverse_scale: its inverse is uniform, instead of the length.
    flip: a clip is mirrored left to right with probability one half.
    colour_jitter: how much brightness, contrast and saturation of a clip may change, relatively.
    last_blocks: how many are trained, with the last norm and the head; None for the whole model.
    balanced: whether the loss weighs clips so that all classes count alike.
    drop_path_rate: stochastic depth of the last block; None for the checkpoint's own.

    Raises ValueError, which names the value and what would be right.
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch_size: int = 64
    epochs: int | None = 15
    steps: int | None = None
    schedule: str = "steps"
    milestones: tuple[float, ...] = (11 / 15, 14 / 15)
    warm_up: float = 0.0
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    shorter_side: tuple[float, float] = (256 / 224, 320 / 224)
    inverse_scale: bool = False
    flip: bool = True
    colour_jitter: float = 0.0
    last_blocks: int | None = None
    balanced: bool = False
    drop_path_rate: float | None = 0.1

    def __post_init__(self) -> None:
        check_fields(self, RULES)
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"epochs {self.epochs} and steps {self.steps}: give one of the two")


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(),
    "paper-ssv2": Recipe(inverse_scale=True, flip=False),
    "small": Recipe(
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        batch_size=16,
        epochs=30,
        schedule="one_cycle",
        warm_up=0.1,
        clip_norm=1.0,
        label_smoothing=0.1,
        colour_jitter=0.3,
        last_blocks=2,
        balanced=True,
    ),
}
"""`small` is for tens or hundreds of videos. `paper` and `paper-ssv2` are the original's configs
for Kinetics and for Something-Something, whose labels distinguish left from right. A step is 64
clips there: 8 at a time, gradients added up."""


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of step number `step`, from 0, of a run of `steps`."""
    if recipe.schedule == "steps":
        return recipe.learning_rate * 0.1 ** sum(step / steps >= part for part in recipe.milestones)
    progress = (step + 0.5) / steps  # its middle, or the first step would have rate 0
    if progress < recipe.warm_up:
        return recipe.learning_rate * progress / recipe.warm_up
    angle = pi * (progress - recipe.warm_up) / (1 - recipe.warm_up)
    return recipe.learning_rate * (1 + cos(angle)) / 2


def count_steps(recipe: Recipe, videos: int | None) -> int:
    """The number of steps of a run on so many videos.

    Raises ValueError for epochs of a source without end (`videos` None).
    """
    if recipe.steps is not None:
        return recipe.steps
    if recipe.epochs is None or videos is None:
        raise ValueError("clips that are made without end have no epochs: give steps")
    return max(1, recipe.epochs * videos // recipe.batch_size)
