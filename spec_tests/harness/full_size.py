"""The published geometry: inputs that the generator makes, and what the original returns for them.

ViT-Base on 8 frames of 224 x 224 pixels; the spatial step of TimeSformer-HR (16 frames of 28 x 28
patches); the temporal step of TimeSformer-L (96 frames). Expected numbers are the original's, in
float64, and bounds were derived as those of any other input. Both are stored, since they take
minutes: `golden/full_size.safetensors`, which this command writes with the original at hand (see
`ports/original_port.py`).

    python -m spec_tests.harness.full_size
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from spec_tests.harness import numbers as generator
from spec_tests.harness import reference
from spec_tests.harness.arithmetic import ARITHMETICS, each_array
from spec_tests.harness.cases import Case
from spec_tests.harness.errors import NotRun
from spec_tests.harness.golden_vectors import FOLDER
from spec_tests.harness.judging import Nonconformance, Question
from spec_tests.harness.porting import TIMEOUT, Port, find_port
from timesformer_ref.config import TimeSformerConfig

FILE = FOLDER / "full_size.safetensors"

SECONDS = 60.0
"""A port that would take longer is not asked, unless the command line says so."""

TRIES = 3
"""How often a port's time is taken; the shortest counts, as other work may run beside."""

LIMIT = 5
"""How many times the time that was predicted a program may take."""


class FullCase(Case):
    """A case whose numbers are float32, as the generator makes them: exact, and half as large."""

    def numbers(
        self, name: str, shape: tuple[int, ...], scale: float = 2.0, centre: float = 0.0
    ) -> np.ndarray:
        """See `Case.numbers`."""
        return generator.numbers(f"{self.seed} {name}", shape, scale, centre)


_case = lru_cache(2)(FullCase)
"""Numbers of ViT-Base are made once in a process."""


class Published(NamedTuple):
    """A call at full size.

    config: fields that differ from ViT-Base. step: of an attention step, None for the whole model.
    times: how many times the multiply-adds of `SMALL` it takes. look: which tokens are compared,
    which come from all frames, rows and columns.
    """

    config: dict[str, int]
    step: str | None
    times: int
    look: Any

    @property
    def case(self) -> FullCase:
        """The input, the same for all ports."""
        config = TimeSformerConfig(**self.config)
        size = config.image_size, config.image_size
        return _case(config, (1, config.num_frames, config.num_channels, *size))

    def question(self, port: Port) -> Question:
        """What the port is asked, without the expected result."""
        function, more = "forward", {}
        if self.step:
            function, more = "attention_step", {"step": self.step}
        return Question(port, self.case, function, self.look, **more)


SMALL = {"num_hidden_layers": 1, "num_frames": 1}
"""ViT-Base with one block, on one frame: its time predicts a port's time for the others."""

EVERY_499TH = np.s_[:, ::499]
PUBLISHED = {
    "ViT-Base, 8 × 224": Published({}, None, 96, ...),
    "HR, spatial step": Published(
        {"num_hidden_layers": 1, "num_frames": 16, "image_size": 448}, "spatial", 21, EVERY_499TH
    ),
    "96 frames, temporal step": Published(
        {"num_hidden_layers": 1, "num_frames": 96}, "temporal", 27, EVERY_499TH
    ),
}


def predicted(port: Port, name: str, unhurried: bool) -> float:
    """How many seconds a call by name will take.

    Raises NotRun where they are too many, unless the call is to be made all the same.
    """
    seconds = PUBLISHED[name].times * pace(port)
    if seconds > SECONDS and not unhurried:
        minutes = round(max(seconds / 60, 1))
        plural = "s" if minutes > 1 else ""
        raise NotRun(f"full size: would take about {minutes} minute{plural}; --full-size runs it")
    return seconds


def question(port: Port, name: str) -> Question:
    """A call by name, with what is stored of its answer.

    Raises NotOffered for a port that lacks the function or the scheme.
    """
    asked = PUBLISHED[name].question(port)
    asked.published = name
    with safe_open(FILE, "np") as file:
        found, bounds = (file.get_tensor(f"{name}.{part}") for part in ("expected", "bounds"))
        shape = json.loads(file.metadata()[name])
    asked.expected = {"": np.full(shape, np.nan)}
    asked.expected[""][asked.look] = found
    asked.allowed = {"": float(bounds[list(ARITHMETICS).index(port.dtype)])}
    return asked


def patience(seconds: float) -> float:
    """How many times its usual time a program may take for what was predicted to take seconds."""
    return LIMIT * max(seconds, TIMEOUT) / TIMEOUT


@cache
def pace(port: Port) -> float:
    """Seconds of a call on one block and one frame, once the model is loaded."""
    asked = Published(SMALL, None, 1, ...).question(port)
    with port.patience(patience(0)):
        try:
            asked.answer()
        except Nonconformance as failure:  # which other tests report
            raise NotRun("full size: forward fails for one block and one frame") from failure
        return min(_seconds(port, asked) for _ in range(TRIES))


def _seconds(port: Port, asked: Question) -> float:
    handed = asked.handed()
    start = perf_counter()
    port.call(asked.function, *handed.values())
    return perf_counter() - start


def main() -> None:
    """Write the file: run the original, and measure the rounding errors of each arithmetic."""
    original = find_port("spec_tests.ports.original_port")
    tensors, shapes = {}, {"source": "facebookresearch/TimeSformer, commit a5ef29a, in float64"}
    for name, published in PUBLISHED.items():
        asked = published.question(find_port("spec_tests.ports.variants:numpy_float64"))
        asked.arguments = each_array(np.float64, asked.arguments)
        handed = dict(asked.arguments)
        model = original.functions.load(handed["weights"], handed["config"]).double()
        found = getattr(original.functions, asked.function)(*(handed | {"weights": model}).values())
        right = getattr(reference, asked.function)(*handed.values())
        assert np.abs(found - right).max() <= 1e-12 * np.abs(found).max()
        asked.expected = {"": found}
        bounds = [asked._bounds(arithmetic)[""] for arithmetic in ARITHMETICS.values()]
        tensors[f"{name}.expected"] = np.ascontiguousarray(found[published.look])
        tensors[f"{name}.bounds"] = np.array(bounds)
        shapes[name] = json.dumps(found.shape)
        print(name, bounds, flush=True)
    save_file(tensors, FILE, shapes)


if __name__ == "__main__":
    main()
