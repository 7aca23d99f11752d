"""A port under test: where it comes from, what it offers, and how it is called."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import extract_tb
from typing import Any

from spec_tests.arithmetic import ARITHMETICS
from timesformer_ref.config import SCHEMES

DEFAULTS: dict[str, Any] = {
    "NAME": "",
    "DTYPE": "float32",
    "ATTENTION_TYPES": ("space_only", "joint_space_time", "divided_space_time"),
    "FIXED_FRAMES": False,
    "FIXED_FRAME_SIZE": False,
    "STATIC_SHAPES": False,
}
"""The optional attributes of a port."""

FUNCTIONS = (
    "forward",
    "patchify",
    "time_embedding",
    "attention_step",
    "mlp",
    "block",
    "classifier",
    "gradients",
    "initial_weights",
    "frame_indices",
    "segment_indices",
    "crops",
)


class BadPort(Exception):
    """There is no port to test; the message says why and what would be right."""


class NotOffered(Exception):
    """The port lacks a function."""


class Refusal(Exception):
    """The port raised an error, or answered with one; `kind` is its type."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Breakdown(Exception):
    """The port crashed, hung or answered garbage: no refusal of an input, but a failure."""


class Remembered:
    """The last few things that were made of other things, by identity."""

    def __init__(self) -> None:
        self._made: OrderedDict[int, tuple[Any, Any]] = OrderedDict()

    def of(self, source: Any, make: Callable[[Any], Any]) -> Any:
        """What `make` makes of the source, or made of it when it came before."""
        if id(source) not in self._made:
            self._made[id(source)] = source, make(source)  # held, so that no other gets its id
            if len(self._made) > 4:
                self._made.popitem(last=False)
        return self._made[id(source)][1]

    def forget(self) -> None:
        """Make everything anew."""
        self._made.clear()


class Port:
    """What the tests see of a port: its attributes, and one way to call every function.

    functions: an object with the port's functions and attributes.
    """

    def __init__(self, functions: Any, name: str) -> None:
        self.functions = functions
        told = {key: getattr(functions, key, default) for key, default in DEFAULTS.items()}
        self.name = told["NAME"] or name
        if told["DTYPE"] not in ARITHMETICS:
            raise BadPort(
                f"{name}: DTYPE {told['DTYPE']!r} is unknown: use {', '.join(ARITHMETICS)}"
            )
        if unknown := set(told["ATTENTION_TYPES"]) - set(SCHEMES):
            raise BadPort(
                f"{name}: ATTENTION_TYPES has {', '.join(map(repr, sorted(unknown)))}: "
                f"use some of {', '.join(SCHEMES)}"
            )
        self.dtype = told["DTYPE"]
        self.arithmetic = ARITHMETICS[self.dtype]
        self.schemes = tuple(s for s in SCHEMES if s in told["ATTENTION_TYPES"])
        self.fixed_frames = bool(told["FIXED_FRAMES"])
        self.fixed_frame_size = bool(told["FIXED_FRAME_SIZE"])
        self.static_shapes = bool(told["STATIC_SHAPES"])
        self.loaded = Remembered()
        self.converted = Remembered()

    def call(self, function: str, *args: Any) -> Any:
        """What the port's function returns.

        Raises NotOffered where the port lacks it, Refusal where it raises an error, Breakdown
        where it breaks down.
        """
        run = getattr(self.functions, function, None)
        if run is None:
            raise NotOffered(f"the port has no {function}")
        try:
            return run(*self._with_loaded_weights(args))
        except (NotOffered, Refusal, Breakdown):
            raise
        except NotImplementedError as error:
            raise NotOffered(f"{function} is not implemented: {error}") from error
        except (Exception, SystemExit) as error:
            last = extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            place = f"{Path(last.filename).name}:{last.lineno}"
            raise Refusal(f"{kind} at {place}: {error}", kind) from error

    def _with_loaded_weights(self, args: tuple[Any, ...]) -> list[Any]:
        """Weights replaced by what the port's `load` makes of them, once for each mapping."""
        load = getattr(self.functions, "load", None)
        if load is None:
            return list(args)
        config = next((a for a in args if hasattr(a, "attention_type")), None)
        return [
            self.loaded.of(a, lambda w: load(w, config)) if isinstance(a, Mapping) else a
            for a in args
        ]


def find_port(place: str, timeout: float) -> Port:
    """The port at a place: `FILE.py`, `package.module`, `cmd:COMMAND` or `mutant:NAME`.

    Raises BadPort, which says what is wrong with it.
    """
    if place.startswith("cmd:"):
        from spec_tests.command_port import CommandPort

        command = place.removeprefix("cmd:")
        return Port(CommandPort(command, timeout), command)
    if place.startswith("mutant:"):
        from spec_tests.mutants.build import build_named

        return Port(build_named(place.removeprefix("mutant:")), place)
    return Port(_checked(_import(place), place), Path(place).stem if _is_file(place) else place)


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _import(place: str) -> Any:
    try:
        if not _is_file(place):
            sys.path.insert(0, "")
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file():
            raise BadPort(f"--port {place}: there is no such file")
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
    except BadPort:
        raise
    except (Exception, SystemExit) as error:
        raise BadPort(
            f"--port {place}: cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


def _checked(functions: Any, place: str) -> Any:
    if not callable(getattr(functions, "forward", None)):
        raise BadPort(f"--port {place}: has no function forward(video, weights, config)")
    return functions
