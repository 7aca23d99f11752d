"""The geometry of one model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

from timesformer_ref.schemes import SCHEMES, STEPS, Grid

_short = Repr()
_short.maxstring, _short.maxother, _short.maxlevel = 80, 80, 2
shown = _short.repr
"""A value from a file as messages have it, cut short however long it is."""

MOST_PIXELS = 2**28
"""The most pixels of a clip, a hundred times those of the largest published: 3 GB as float32."""

Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is possible, and what would be right."""


def is_number(value: object) -> bool:
    """Whether a value is a finite number, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < inf


COUNT: Rule = (lambda v: type(v) is int and 0 < v < 2**31, "a whole number above 0")
PROBABILITY: Rule = (lambda v: is_number(v) and 0 <= v < 1, "a probability below 1")
FLAG: Rule = (lambda v: isinstance(v, bool), "True or False")
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("image_size", "patch_size", "num_channels", "num_frames", "hidden_size"), COUNT
    ),
    **dict.fromkeys(("num_hidden_layers", "num_attention_heads", "intermediate_size"), COUNT),
    "layer_norm_eps": (lambda v: is_number(v) and 0 < v < 1, "a number between 0 and 1"),
    "qkv_bias": FLAG,
    "attention_type": (lambda v: v in tuple(SCHEMES), f"one of {', '.join(SCHEMES)}"),
    "num_labels": COUNT,
    "hidden_dropout_prob": PROBABILITY,
    "attention_probs_dropout_prob": PROBABILITY,
    "drop_path_rate": PROBABILITY,
}
"""For each field of `TimeSformerConfig`, what is possible."""


def check_fields(record: object, rules: Mapping[str, Rule]) -> None:
    """Check the fields of a frozen dataclass, and store numbers of any type (NumPy's) as Python's.

    Raises ValueError, which names the value and what would be right.
    """
    for name, (possible, expected) in rules.items():
        given = getattr(record, name)
        value = _plain(given)
        if not possible(value):
            raise ValueError(f"{name} {shown(given)} is impossible: use {expected}")
        object.__setattr__(record, name, value)


def check_size(num_frames: int, side: int) -> None:
    """Raise ValueError for clips that no memory holds, before any is taken."""
    if num_frames * side**2 > MOST_PIXELS:
        raise ValueError(
            f"num_frames {num_frames} of {side} x {side} pixels are more than {MOST_PIXELS:,}"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


@dataclass(frozen=True)
class TimeSformerConfig:
    """The geometry of one TimeSformer, with the field names of Hugging Face's `TimesformerConfig`.

    The defaults are the published model, ViT-Base with divided attention on 8 frames of 224 x 224
    pixels. `num_frames` and `image_size` are what the weights were trained for; a clip may have
    another number of frames and another size.

    image_size: height and width of a training frame, pixels, a multiple of `patch_size`.
    patch_size: height and width of a patch, pixels.
    num_channels: colour channels of a frame.
    num_frames: frames of a training clip.
    hidden_size: width of a token, a multiple of `num_attention_heads`.
    num_hidden_layers: number of blocks.
    num_attention_heads: heads of every attention step.
    intermediate_size: width of the MLP's hidden layer.
    layer_norm_eps: added to the variance in every LayerNorm.
    qkv_bias: whether queries, keys and values have a bias.
    attention_type: a name from the scheme table `SCHEMES`.
    num_labels: classes of the classifier.
    hidden_dropout_prob, attention_probs_dropout_prob: dropout in training (the original's
        `drop_rate` and `attn_drop_rate`).
    drop_path_rate: stochastic depth of the last block in training; rises linearly from 0.

    Raises ValueError, which names the value and what would be right, for an impossible model.
    """

    image_size: int = 224
    patch_size: int = 16
    num_channels: int = 3
    num_frames: int = 8
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    layer_norm_eps: float = 1e-6
    qkv_bias: bool = True
    attention_type: str = "divided_space_time"
    num_labels: int = 400
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    drop_path_rate: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, RULES)
        self._check_multiple("image_size", "patch_size")
        self._check_multiple("hidden_size", "num_attention_heads")
        self._check_groups(self.grid)
        check_size(self.num_frames, self.image_size)

    @property
    def steps(self) -> tuple[str, ...]:
        """The attention steps of a block, in order."""
        return SCHEMES[self.attention_type]

    @property
    def separate_frames(self) -> bool:
        """Whether no step's groups span frames, so that each frame is a clip of its own."""
        return all(STEPS[step].within_frame for step in self.steps)

    @property
    def grid(self) -> Grid:
        """Frames, rows and columns of a training clip's patches."""
        side = self.image_size // self.patch_size
        return self.num_frames, side, side

    def clip_grid(self, shape: tuple[int, ...]) -> Grid:
        """Frames, rows and columns of the patches of a clip of this shape, b t c H W.

        Pixels beyond the last whole patch are dropped (original: a strided convolution).
        Raises ValueError for a clip that this model cannot take.
        """
        if len(shape) != 5:
            raise ValueError(
                f"a video has 5 axes (batch, frames, channels, height, width), not shape {shape}"
            )
        batch, frames, channels, height, width = shape
        if batch < 1:
            raise ValueError(f"the video of shape {shape} has no clips: at least 1 is needed")
        if channels != self.num_channels:
            raise ValueError(
                f"the video has {channels} channels on axis 2 of {shape}, "
                f"the model takes {self.num_channels}"
            )
        if frames < 1:
            raise ValueError(f"the video of shape {shape} has no frames: at least 1 is needed")
        if min(height, width) < self.patch_size:
            raise ValueError(
                f"frames of {height} x {width} pixels are smaller than one patch: "
                f"use at least {self.patch_size} x {self.patch_size}"
            )
        grid = frames, height // self.patch_size, width // self.patch_size
        self._check_groups(grid)
        return grid

    def check_labels(self, labels: Any, clips: int) -> None:
        """Raise ValueError unless labels, an array or a tensor, are one class for each clip."""
        values, last = labels.tolist(), self.num_labels - 1
        one_each = "int" in str(labels.dtype) and tuple(labels.shape) == (clips,)
        if not one_each or not all(0 <= label <= last for label in values):
            raise ValueError(f"labels {values}: expected {clips} of the whole numbers 0 to {last}")

    def _check_groups(self, grid: Grid) -> None:
        for step in self.steps:
            pieces = STEPS[step].pieces
            if any(size % n for size, n in zip(grid, pieces, strict=True)):
                raise ValueError(
                    f"{self.attention_type} cannot divide {grid[0]} frames of {grid[1]} x "
                    f"{grid[2]} patches: its {step} step needs multiples of {pieces[0]} (frames), "
                    f"{pieces[1]} (rows) and {pieces[2]} (columns)"
                )

    def _check_multiple(self, name: str, by: str) -> None:
        value, divisor = getattr(self, name), getattr(self, by)
        if value % divisor:
            below = value // divisor * divisor
            choices = f"{below} or {below + divisor}" if below else f"{divisor}"
            raise ValueError(f"{name} {value} is not a multiple of {by} {divisor}: use {choices}")
