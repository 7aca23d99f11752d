"""Mistakes with a parameter: any epsilon, scale, offset or order of axes, as a table.

The parameter is fitted to one answer of a port; whether it is right, the port's other answers tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from spec_tests.mutants.table import (
    ATTENTION,
    CLASSIFIER,
    LAYERS,
    PATCHIFY,
    SAMPLING,
    TIME,
    Mutant,
    Patch,
)

VALUE = "VALUE"
"""Where the parameter stands in a patch, in a name and in a sentence."""

DIGITS = range(1, 8)
"""To how many digits a fitted number is rounded: the fewest that give the port's answer."""


class Family(NamedTuple):
    """A mutant with a parameter.

    values: the texts that it may be, or from where a number is fitted between two of them.
    continuous: whether it may lie between these.
    """

    name: str
    group: str
    mistake: str
    patch: Patch
    values: tuple[str, ...]
    continuous: bool = False

    def mutant(self, value: str) -> Mutant:
        """The mutant with this value."""
        file, old, new = self.patch
        name, mistake = (text.replace(VALUE, value) for text in (self.name, self.mistake))
        return Mutant(name, self.group, mistake, (Patch(file, old, new.replace(VALUE, value)),))

    def near(
        self, distance: Callable[[Mutant], float], enough: float, worth: float
    ) -> Iterator[Mutant]:
        """The mutants that are near enough, of a continuous parameter one with the fewest digits.

        distance: from a port's answer. worth: below which distance a fit is worth while.
        """
        off = {value: distance(self.mutant(value)) for value in self.values}
        yield from (self.mutant(value) for value in self.values if off[value] <= enough)
        if self.continuous and enough < min(off.values()) < worth:
            yield from self._between(distance, enough, min(off, key=off.__getitem__))

    def _between(
        self, distance: Callable[[Mutant], float], enough: float, nearest: str
    ) -> Iterator[Mutant]:
        """The fit between the neighbours of the value that is nearest."""
        place = self.values.index(nearest)
        ends = self.values[max(place - 1, 0)], self.values[min(place + 1, len(self.values) - 1)]
        low, high = (np.log(float(end)) for end in ends)

        def at(x: float) -> float:
            return distance(self.mutant(repr(float(np.exp(x)))))

        fit = float(np.exp(minimize_scalar(at, bounds=(low, high), options={"xatol": 1e-10}).x))
        for digits in DIGITS:
            mutant = self.mutant(f"{fit:.{digits}g}")
            if distance(mutant) <= enough:
                yield mutant
                return


def logarithmic(low: float, high: float, count: int) -> tuple[str, ...]:
    """So many numbers as texts, each the same factor above the one before."""
    return tuple(f"{x:.3g}" for x in np.geomspace(low, high, count))


def orders(axes: str) -> tuple[str, ...]:
    """The other orders of these axes."""
    return tuple(" ".join(order) for order in permutations(axes.split()))[1:]


EPSILONS = logarithmic(1e-12, 1e-1, 23)
FACTORS = logarithmic(0.01, 100, 17)
SHIFTS = ("1", "-1", "2", "-2")

NORMS = {
    "every norm": ("NORM", LAYERS, "np.sqrt(variance + eps)", f"np.sqrt(variance + {VALUE})"),
    "an earlier step's norm": (
        "NORM", ATTENTION, '{step}_norm1"), eps', f'{{step}}_norm1"), {VALUE}'),
    "norm1": ("NORM", ATTENTION, '"norm1"), eps', f'"norm1"), {VALUE}'),
    "norm2": ("NORM", ATTENTION, '"norm2"), eps', f'"norm2"), {VALUE}'),
    "the last norm": ("NORM", CLASSIFIER, '"norm"), eps', f'"norm"), {VALUE}'),
}  # fmt: skip

UNTRANSPOSED = {
    "proj": (LAYERS, 'linear(mixed, part(w, "proj"))',
        'linear(mixed, part(w, "proj") | {"weight": w["proj.weight"].T})'),
    "STEP_fc": (ATTENTION, 'linear(update, part(w, f"{step}_fc"))',
        'linear(update, {"weight": w[f"{step}_fc.weight"].T, "bias": w[f"{step}_fc.bias"]})'),
    "every square layer": (LAYERS, "axes=(-1, -1)",
        'axes=(-1, -1 if len(w["weight"]) != w["weight"].shape[1] else 0)'),
}  # fmt: skip
"""Weights that fit without their transpose, since they are square."""

FAMILIES = (
    *(
        Family(f"eps={VALUE} of {norm}", group, f"The epsilon of {norm} is {VALUE}",
            Patch(*patch), EPSILONS, True)
        for norm, (group, *patch) in NORMS.items()
    ),
    Family(f"scores/{VALUE}", "ATT", f"Attention scores are divided by {VALUE}",
        Patch(LAYERS, "sqrt(q.shape[-1])", VALUE), FACTORS, True),
    Family(f"scores/width^{VALUE}", "ATT",
        f"Attention scores are divided by the head's width to the power of {VALUE}",
        Patch(LAYERS, "sqrt(q.shape[-1])", f"q.shape[-1] ** {VALUE}"), FACTORS[:11], True),
    Family(f"mlp*{VALUE}", "MLP", f"What the MLP adds is multiplied by {VALUE}",
        Patch(ATTENTION, 'tokens + mlp(normed, part(w, "mlp"))',
            f'tokens + {VALUE} * mlp(normed, part(w, "mlp"))'), FACTORS, True),
    Family(f"sigmoid({VALUE} x)", "MLP", f"The activation is x sigmoid({VALUE} x); of 1 it is SiLU",
        Patch(LAYERS, "x * (1 + erf(x / sqrt(2))) / 2", f"x / (1 + np.exp(-{VALUE} * x))"),
        FACTORS, True),
    Family(f"logits*{VALUE}", "HEAD", f"Logits are multiplied by {VALUE}",
        Patch(CLASSIFIER, 'linear(normed[:, 0], part(weights, "head"))',
            f'{VALUE} * linear(normed[:, 0], part(weights, "head"))'), FACTORS, True),
    Family(f"qkv as {VALUE}", "ATT", f"The outputs of the qkv layer are read as ({VALUE})",
        Patch(LAYERS, "g s (three a k) -> three", f"g s ({VALUE}) -> three"), orders("three a k")),
    Family(f"roles {VALUE}", "ATT", f"Queries, keys and values are taken in the order {VALUE}",
        Patch(LAYERS, "q, k, v = rearrange", f"{VALUE} = rearrange"),
        tuple(order.replace(" ", ", ") for order in orders("q k v"))),
    *(
        Family(f"{layers} untransposed", "ATT DIV LG AXIAL",
            f"The weight of {VALUE} is used untransposed", Patch(*patch), (layers,))
        for layers, patch in UNTRANSPOSED.items()
    ),
    Family(f"pixels as {VALUE}", "PATCH", f"The pixels of a patch are read in the order ({VALUE})",
        Patch(PATCHIFY, "(h w) (c p q)", f"(h w) ({VALUE})"), orders("c p q")),
    Family(f"positions+{VALUE}", "POS", f"Each token takes the position {VALUE} places on",
        Patch(PATCHIFY, "positions(pos_embed.shape[1], h, w)]",
            f"(positions(pos_embed.shape[1], h, w) + {VALUE}) % pos_embed.shape[1]]"), SHIFTS),
    Family(f"time+{VALUE}", "TIME", f"Each frame takes the time of the frame {VALUE} places on",
        Patch(TIME, "nearest(trained, t)]", f"(nearest(trained, t) + {VALUE}) % trained]"), SHIFTS),
    Family(f"frames+{VALUE}", "FRAMES", f"The frames of a clip are taken {VALUE} places on",
        Patch(SAMPLING, "positions.clamp(0,", f"(positions + {VALUE}).clamp(0,"), SHIFTS),
    Family(f"segments+{VALUE}", "FRAMES", f"The frame of each segment is taken {VALUE} places on",
        Patch(SAMPLING, "(bounds[:-1] + bounds[1:]) // 2",
            f"((bounds[:-1] + bounds[1:]) // 2 + {VALUE}).clip(0, total - 1)"), SHIFTS),
)  # fmt: skip
