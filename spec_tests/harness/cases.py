"""Test inputs of a port: geometries that Hypothesis draws, and arrays made from a seed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from spec_tests.harness import numbers as generator
from spec_tests.harness.arithmetic import ARITHMETICS
from spec_tests.harness.porting import Port
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES, STEPS, Grid
from timesformer_ref.weights import weight_table

Weights = dict[str, np.ndarray]
Pick = Callable[[int, int], int]
"""A function that returns an integer from a range, both ends included."""

ACROSS_FRAMES = tuple(s for s in SCHEMES if s != "space_only")
"""The schemes in which tokens attend across frames: one class token per clip, and time vectors."""

ANY_GRID = tuple(s for s in SCHEMES if s != "sparse_local_global")
"""The schemes that can group the patches of a clip of any size."""

SEVERAL_STEPS = tuple(s for s, steps in SCHEMES.items() if len(steps) > 1)

DROPPING = {
    "hidden_dropout_prob": 0.5,
    "attention_probs_dropout_prob": 0.5,
    "drop_path_rate": 0.5,
}
"""Dropout rates that would change any result if they were applied outside training."""

TINY = 2.0**-9
"""Size of tiny tokens; their variance is as small as LayerNorm's epsilon."""


@dataclass(frozen=True)
class Case:
    """One input of the model, and one of each of its blocks; equal fields give equal arrays.

    config: the model's, or a mapping of its fields. clip: the shape of the video, b t c H W.
    seed: determines all arrays. dtype: a name from `ARITHMETICS`; the arrays hold numbers of it.
    tiny: the tokens between blocks are between -`TINY` and `TINY` instead of -2 and 2.
    """

    config: TimeSformerConfig
    clip: tuple[int, int, int, int, int]
    seed: int = 0
    dtype: str = "float32"
    tiny: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.config, dict):
            object.__setattr__(self, "config", TimeSformerConfig(**self.config))

    @classmethod
    def from_report(cls, described: dict[str, Any]) -> Case:
        """The case that a report shows as the input of a failure (see `describe`)."""
        own = {field.name: described[field.name] for field in fields(cls)}
        return cls(**own | {"clip": tuple(described["clip"])})

    @property
    def grid(self) -> Grid:
        """Frames, rows and columns of the clip's patches."""
        return self.config.clip_grid(tuple(self.clip))

    @cached_property
    def video(self) -> np.ndarray:
        """A normalised video, b t c H W."""
        return self.numbers("video", tuple(self.clip))

    @cached_property
    def weights(self) -> Weights:
        """Weights by name: none zero, of a scale at which every layer changes the result."""
        return {
            name: self.numbers(name, weight.shape, *_range(name, weight.shape))
            for name, weight in weight_table(self.config).items()
        }

    @cached_property
    def frames(self) -> np.ndarray:
        """The input of time embedding, b t (1 + n) d; the class token is the same in all frames."""
        b, (t, h, w) = self.clip[0], self.grid
        frames = self.numbers("frames", (b, t, 1 + h * w, self.config.hidden_size))
        frames[:, :, 0] = frames[0, 0, 0]
        return frames

    @cached_property
    def tokens(self) -> np.ndarray:
        """The input of a block: b (1 + n t) d; in a space-only model (b t) (1 + n) d."""
        b, (t, h, w) = self.clip[0], self.grid
        shape = (b * t, 1 + h * w) if self.config.separate_frames else (b, 1 + h * w * t)
        scale = TINY if self.tiny else 2.0
        return self.numbers("tokens", (*shape, self.config.hidden_size), scale)

    @cached_property
    def labels(self) -> np.ndarray:
        """One class per clip."""
        found = generator.integers(f"{self.seed} labels", self.clip[0])
        return (found.astype(np.int64) * self.config.num_labels) >> generator.BITS

    def numbers(
        self, name: str, shape: tuple[int, ...], scale: float = 2.0, centre: float = 0.0
    ) -> np.ndarray:
        """Numbers from `centre - scale` to `centre + scale`, of this case's arithmetic, as float64.

        They are the same for the same name (see `generator.numbers`).
        """
        made = generator.numbers(f"{self.seed} {name}", shape, scale, centre)
        return ARITHMETICS[self.dtype].round(made)

    def describe(self) -> dict[str, Any]:
        """What a report shows of this case; `from_report` makes the case from it again."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        defaults = asdict(TimeSformerConfig())
        config = {k: v for k, v in asdict(self.config).items() if v != defaults[k]}
        return own | {"config": config, "clip": list(self.clip)}


BRANCH_ENDS = re.compile(r"blocks\.\d+\.(attn\.proj|\w+_fc|mlp\.fc2)\.")
"""The layers whose results are added to the tokens."""


def above_epsilon(
    case: Case, tokens: np.ndarray | None = None, weights: Weights | None = None
) -> dict[str, Any]:
    """Tokens so large that no norm's epsilon shows, and weights with which branches add as much.

    A test of anything but an epsilon takes these, to fail for its own subject only.
    tokens, weights: to be changed, by default the case's.
    """
    large = 1.0 if case.dtype == "float16" else 2.0**40  # a small epsilon is below its rounding
    tokens = case.tokens if tokens is None else tokens
    weights = case.weights if weights is None else weights
    ends = {name: large * w for name, w in weights.items() if BRANCH_ENDS.match(name)}
    return {"tokens": large * tokens, "weights": weights | ends}


def _range(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """How far a weight's numbers may be from their centre, and the centre."""
    if "norm" in name:
        return 0.25, float(name.endswith("weight"))
    if name.endswith("weight"):
        inputs = int(np.prod(shape[1:]))
        gain = 2.0 if "qkv" in name else 1.0  # so that attention is not close to a plain mean
        return gain * 2.0 ** (1 - ((inputs - 1).bit_length() + 1) // 2), 0.0  # about 1 / sqrt
    return 1.0, 0.0


def _trained_frames(pick: Pick) -> tuple[int, int]:
    frames = pick(1, 4)
    return frames, frames


def _fewer_frames(pick: Pick) -> tuple[int, int]:
    trained = pick(2, 5)
    return trained, pick(1, trained - 1)


def _a_divisor_of_the_frames(pick: Pick) -> tuple[int, int]:
    frames = pick(1, 2)
    return frames * pick(2, 3), frames


def _a_multiple_of_the_frames(pick: Pick) -> tuple[int, int]:
    trained = pick(1, 2)
    return trained, trained * pick(2, 3)


def _more_frames(pick: Pick) -> tuple[int, int]:
    trained = pick(1, 3)
    return trained, trained + pick(1, 4)


FRAMES: dict[str, Callable[[Pick], tuple[int, int]]] = {
    "trained": _trained_frames,
    "longer": _more_frames,
    "shorter": _fewer_frames,
    "divisor": _a_divisor_of_the_frames,
    "multiple": _a_multiple_of_the_frames,
    "single": lambda pick: (1, 1),
    "any": lambda pick: (pick(1, 4), pick(1, 4)),
}
"""By name of a relation: draws the number of frames trained for, and that of the clip."""


def _trained_patches(pick: Pick) -> tuple[int, int, int]:
    side = pick(1, 3)
    return side, side, side


def _other_patches(pick: Pick) -> tuple[int, int, int]:
    """A number of patches that differs from the trained: n (n + 1) and n (n + 2) are no squares."""
    side, short = pick(1, 3), pick(2, 3)
    long = short + pick(1, 2)
    return (side, short, long) if pick(0, 1) else (side, long, short)


def _as_many_patches(pick: Pick) -> tuple[int, int, int]:
    half = pick(1, 2)
    return (2 * half, half, 4 * half) if pick(0, 1) else (2 * half, 4 * half, half)


def _any_patches(pick: Pick) -> tuple[int, int, int]:
    return (_trained_patches, _trained_patches, _other_patches, _as_many_patches)[pick(0, 3)](pick)


PATCHES: dict[str, Callable[[Pick], tuple[int, int, int]]] = {
    "trained": _trained_patches,
    "other": _other_patches,
    "as many": _as_many_patches,
    "single": lambda pick: (1, 1, 1),
    "any": _any_patches,
}
"""By name of a relation: draws the side of the trained grid, and rows and columns of the clip."""


@st.composite
def drawn_cases(
    draw: st.DrawFn,
    port: Port,
    schemes: tuple[str, ...],
    frames: str = "any",
    patches: str = "any",
    ragged: bool | None = False,
    tiny: bool = False,
    batch: int | None = None,
    **config: Any,
) -> dict[str, Any]:
    """Draw the arguments of a `Case` that this port can take.

    frames, patches: keys of `FRAMES` and `PATCHES`. ragged: whether there are pixels beyond the
    last whole patch; None for either. batch: clips, if not drawn. config: fields of the config
    that are not drawn.
    A port with `STATIC_SHAPES` gets one geometry per scheme, and only the seed varies.
    Axes are of length one only in cases that fail with no other, and there are never as many
    labels as clips, so that the smallest failing case shows which axis is wrong.
    """

    def pick(low: int, high: int) -> int:
        if port.static_shapes:
            return min(low + 1, high)
        return draw(st.sampled_from(sorted(range(low, high + 1), key=lambda n: n == 1)))

    scheme = draw(st.sampled_from(schemes))
    cut_t, cut, _ = (
        max(axis) for axis in zip(*(STEPS[s].pieces for s in SCHEMES[scheme]), strict=True)
    )
    if frames == "any" and port.fixed_frames:
        frames = "trained"
    if patches == "any" and port.fixed_frame_size:
        patches, ragged = "trained", False
    trained, t = FRAMES[frames](pick)
    side, h, w = PATCHES[patches](pick)
    fixed = port.constraints.fixed
    patch = fixed("patch_size", pick(1, 4) + bool(ragged))
    heads = fixed("num_attention_heads", 1 if fixed("hidden_size", 6) % 6 else pick(2, 3))
    if "image_size" in port.constraints.fields:
        square, same, side = (h, w) == (side, side), h * w == side**2, 0
        side = fixed("image_size", 0) // (cut * patch)
        h, w = (side, side) if square else (side // 2, 2 * side) if same else (h, w)
    fields = {
        "image_size": side * cut * patch,
        "patch_size": patch,
        "num_channels": pick(1, 4),
        "num_frames": trained * cut_t,
        "hidden_size": heads * pick(2, 6),
        "num_hidden_layers": 1 + pick(0, 1),
        "num_attention_heads": heads,
        "intermediate_size": pick(2, 12),
        "layer_norm_eps": (1e-6, 1e-4, 1e-6)[pick(0, 2)],
        "qkv_bias": pick(0, 2) < 2,
        "attention_type": scheme,
        "num_labels": pick(4, 7),
    }
    rest = (pick(0, patch - 1), pick(0, patch - 1)) if ragged is None else (0, 0)
    if ragged:
        rest = pick(1, patch - 1), pick(1, patch - 1)
    fields = port.constraints.adapted(fields | config)
    if port.constraints.square:
        w, rest = h, rest[:1] * 2
    return {
        "config": fields,
        "clip": (
            batch or pick(2, 3),
            fields["num_frames"] if t == trained else t * cut_t,
            fields["num_channels"],
            h * cut * patch + rest[0],
            w * cut * patch + rest[1],
        ),
        "seed": draw(st.integers(0, 2**16)),
        "dtype": port.dtype,
        "tiny": tiny,
    }
