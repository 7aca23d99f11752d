"""What a port cannot vary, as its attribute `CONSTRAINTS` declares: cases keep to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from spec_tests.harness.errors import BadPort, NotOffered
from timesformer_ref.config import RULES, TimeSformerConfig

FORMULA = re.compile(r"(\d+) \* (\w+)")
SQUARE = "square_frames"
OTHER_NAMES = ("attention_type", SQUARE)
"""What stands elsewhere: schemes in `ATTENTION_TYPES`, and a property of clips."""


class Constraints:
    """The fields of the config that have one value for a port, and whether its frames are square.

    declared: by field a value, or a formula such as "4 * hidden_size"; `square_frames`: true.
    Raises BadPort for another field, and for an impossible value.
    """

    def __init__(self, declared: Any) -> None:
        if not isinstance(declared, Mapping):
            raise BadPort(f"CONSTRAINTS is {declared!r}, expected a dict by field of the config")
        self.square = declared.get(SQUARE, False)
        self.fields = {name: value for name, value in declared.items() if name != SQUARE}
        for name, value in self.fields.items():
            formula = FORMULA.fullmatch(value) if isinstance(value, str) else None
            if name not in RULES or name in OTHER_NAMES or (formula and formula[2] not in RULES):
                names = ", ".join([SQUARE, *(n for n in RULES if n not in OTHER_NAMES)])
                raise BadPort(f"CONSTRAINTS has {name} {value!r}, expected fields out of {names}")
            possible, expected = RULES[name]
            if not formula and not possible(value):
                raise BadPort(f"CONSTRAINTS has {name} {value!r}, expected {expected}")

    def fixed(self, name: str, otherwise: Any) -> Any:
        """The one value of a field that a port has, if it has one."""
        value = self.fields.get(name, otherwise)
        return otherwise if isinstance(value, str) else value

    def adapted(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a config with those replaced that the port cannot vary."""
        fields = fields | {n: v for n, v in self.fields.items() if not isinstance(v, str)}
        for name, value in self.fields.items():
            if isinstance(value, str):
                times, of = FORMULA.fullmatch(value).groups()
                fields[name] = int(times) * fields[of]
        return fields

    def adapt(self, config: TimeSformerConfig) -> TimeSformerConfig:
        """The config that the port can take in place of this one. Raises NotOffered for none."""
        try:
            return replace(config, **self.adapted(asdict(config)))
        except ValueError as error:
            raise NotOffered(f"the port takes {self} only, here {error}") from error

    def check(self, config: TimeSformerConfig, clip: tuple[int, ...] | None = None) -> None:
        """Raise NotOffered for a config, or a clip b t c H W, that the port cannot take."""
        oblong = self.square and clip is not None and clip[-2] != clip[-1]
        if oblong or self.adapted(asdict(config)) != asdict(config):
            raise NotOffered(f"the port takes {self} only")

    def allow(self, wanted: Mapping[str, Any]) -> None:
        """Raise NotOffered where a test needs other fields of the config, or oblong frames."""
        other = [n for n, v in wanted.items() if n in self.fields and self.fixed(n, v) != v]
        if other or (self.square and wanted.get("patches") == "as many"):
            raise NotOffered(f"the port takes {self} only")

    def __str__(self) -> str:
        words = [f"{name} = {value}" for name, value in self.fields.items()]
        return ", ".join(words + ["square frames"] * bool(self.square))
