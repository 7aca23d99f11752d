"""A port under test: how it is found, what it offers, and how its functions are called."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from spec_tests.harness.arithmetic import ARITHMETICS
from spec_tests.harness.command_port import CommandPort
from spec_tests.harness.constraints import Constraints
from spec_tests.harness.errors import BadPort, Breakdown, NotOffered, NotRun, Refusal
from spec_tests.harness.interface import DEFAULTS, FUNCTIONS
from spec_tests.mutants.build import build_named
from timesformer_ref.schemes import SCHEMES

TIMEOUT = 10.0
"""Seconds per call of a program, by default."""

LONGEST = 500
"""How many characters of an error message are shown."""


class Remembered:
    """A cache of the last few results of a function, by the identity of its argument."""

    def __init__(self) -> None:
        self._made: OrderedDict[int, tuple[Any, Any]] = OrderedDict()

    def of(self, source: Any, make: Callable[[Any], Any]) -> Any:
        """`make(source)`, computed once for each source."""
        if id(source) not in self._made:
            self._made[id(source)] = source, make(source)  # the reference keeps its id in use
            if len(self._made) > 4:
                self._made.popitem(last=False)
        return self._made[id(source)][1]

    def forget(self) -> None:
        """Empty the cache."""
        self._made.clear()


class Port:
    """A port as the tests use it: its attributes, and one method that calls any function.

    functions: an object with the port's functions and attributes. Raises BadPort for an object
    that is not a port.
    """

    def __init__(self, functions: Any, name: str) -> None:
        self.functions = functions
        values = {key: getattr(functions, key, default) for key, default in DEFAULTS.items()}
        _check(functions, values)
        self.name = " ".join(str(values["NAME"] or name).split())
        self.dtype = values["DTYPE"]
        self.arithmetic = ARITHMETICS[self.dtype]
        self.schemes = tuple(s for s in SCHEMES if s in values["ATTENTION_TYPES"])
        self.fixed_frames = values["FIXED_FRAMES"]
        self.fixed_frame_size = values["FIXED_FRAME_SIZE"]
        self.static_shapes = values["STATIC_SHAPES"]
        self.constraints = Constraints(values["CONSTRAINTS"])
        self.asked: list[Any] = []
        """The questions that were put to it since then; a failure keeps them for the diagnosis."""
        self.loaded = Remembered()
        self.converted = Remembered()

    @property
    def limits(self) -> list[str]:
        """What the port declares that it cannot vary, in words."""
        limits = {
            "the trained number of frames": self.fixed_frames,
            "the trained frame size": self.fixed_frame_size,
            str(self.constraints): str(self.constraints),
        }
        return [words for words, holds in limits.items() if holds]

    def call(self, function: str, *args: Any) -> Any:
        """What the port's function returns, as NumPy arrays.

        Raises NotOffered where the port lacks it, Refusal where it raises an error, Breakdown
        where it breaks down or returns something else than arrays.
        """
        run = getattr(self.functions, function, None)
        if run is None:
            others = set(dir(self.functions)) - FUNCTIONS.keys()
            near = get_close_matches(function, others, n=1, cutoff=0.8)
            raise NotOffered(" but has ".join([f"the port lacks {function}", *near]))
        try:
            return _arrays(run(*self._with_loaded_weights(args)))
        except (NotOffered, NotRun, Refusal, Breakdown):
            raise
        except NotImplementedError as error:
            raise NotOffered(f"{function} is not implemented: {_in_a_line(error)}") from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, and whatever else a library may raise
            raise Refusal(_in_a_line(error), type(error).__name__) from error

    def patience(self, factor: float) -> AbstractContextManager[None]:
        """A context in which a call may take so many times as long (a Python port has no limit)."""
        return getattr(self.functions, "patience", nullcontext)(factor)

    def offered(self, schemes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the schemes that the port has. Raises NotOffered where it has none."""
        found = tuple(scheme for scheme in schemes if scheme in self.schemes)
        if not found:
            raise NotOffered(f"the port lacks {' or '.join(schemes)}")
        return found

    def next_input(self) -> None:
        """A test begins with another input."""
        self.asked.clear()

    def answered(self, question: Any, answer: Any) -> None:
        """The port's answer to a `Question` is of the right form (None: it rightly refused)."""

    def compared(self, question: Any, actual: Any, expected: Any, exactly: Any = None) -> bool:
        """An answer is compared with the expected one; `exactly`: the part that has to be equal.

        Returns whether it is taken as right: a bound takes several runs of the reference.
        """
        return False

    def close(self) -> None:
        """End the port's program, if it is one."""
        getattr(self.functions, "close", lambda: None)()

    def _with_loaded_weights(self, args: tuple[Any, ...]) -> list[Any]:
        """The arguments with the weights replaced by what the port's `load` returns for them."""
        load = getattr(self.functions, "load", None)
        if load is None:
            return list(args)
        config = next((a for a in args if hasattr(a, "attention_type")), None)
        return [
            self.loaded.of(a, lambda w: load(w, config)) if isinstance(a, Mapping) else a
            for a in args
        ]


def _check(functions: Any, values: Mapping[str, Any]) -> None:
    """Raise BadPort for functions that cannot be called, and for attributes without meaning."""
    for name in (*FUNCTIONS, "load"):
        function = getattr(functions, name, None)
        if function is not None and not callable(function):
            raise BadPort(f"{name} is {function!r}, expected a function")
    if getattr(functions, "forward", None) is None:
        raise BadPort("has no function forward(video, weights, config)")
    dtype, schemes = values["DTYPE"], values["ATTENTION_TYPES"]
    if not isinstance(dtype, str) or dtype not in ARITHMETICS:
        raise BadPort(f"DTYPE is {dtype!r}, expected one of {_names(ARITHMETICS)}")
    if isinstance(schemes, str) or not isinstance(schemes, Collection):
        raise BadPort(f"ATTENTION_TYPES is {schemes!r}, expected a tuple such as ('space_only',)")
    if unknown := [scheme for scheme in schemes if scheme not in list(SCHEMES)]:
        raise BadPort(f"ATTENTION_TYPES has {_names(unknown)}, expected some of {_names(SCHEMES)}")
    if not schemes:
        raise BadPort(f"ATTENTION_TYPES is empty, expected some of {_names(SCHEMES)}")
    for name in ("FIXED_FRAMES", "FIXED_FRAME_SIZE", "STATIC_SHAPES"):
        if not isinstance(values[name], bool):
            raise BadPort(f"{name} is {values[name]!r}, expected True or False")


def _names(values: Collection[Any]) -> str:
    return ", ".join(map(repr, values))


def _arrays(answer: Any) -> Any:
    """The result with each array copied by NumPy. Raises Breakdown for what is not an array."""
    if isinstance(answer, Mapping):
        return {name: _arrays(part) for name, part in answer.items()}
    if isinstance(answer, tuple | list) and len(answer) == 2 and isinstance(answer[1], Mapping):
        return _arrays(answer[0]), _arrays(answer[1])
    kind = type(answer).__name__
    try:
        array = np.copy(np.asarray(answer))
    except Exception as error:
        why = next(iter(str(error).splitlines()), "")
        raise Breakdown(f"returned a {kind} that is no array: {why}") from error
    if array.dtype.kind not in "fiubc":
        of = f" of {array.dtype}" if array.ndim else ""
        raise Breakdown(f"returned a {kind}{of}, expected an array of numbers")
    return array


def _in_a_line(error: BaseException) -> str:
    """An error in one line, with the line of the port that raised it (or led to it)."""
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__)
        and not frame.filename.startswith("<frozen")
    ]
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    last = own[-1] if own else None
    file = Path(last.filename.strip("<>")).name if last else ""  # a mutant's is not on the disk
    place = f" at {file}:{last.lineno}, in {last.name}" if last else ""
    text = " ".join(str(error).split())
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return f"{type(error).__name__}{place}: {short}"


def find_port(place: str, timeout: float = TIMEOUT) -> Port:
    """The port at a place: `FILE.py`, `package.module`, `cmd:COMMAND` or `mutant:NAME`.

    After the first two `:OBJECT` may name an object of the module that has the port's functions.
    timeout: seconds per call of a program. Raises BadPort, whose message names the mistake.
    """
    try:
        return Port(*_found(place, timeout))
    except BadPort as error:
        raise BadPort(f"--port {place}: {error}") from error


def _found(place: str, timeout: float) -> tuple[Any, str]:
    """The object with the port's functions, and its default name."""
    kind, _, rest = place.partition(":")
    if kind == "cmd":
        return CommandPort(rest, timeout), rest
    if kind == "mutant":
        try:
            return build_named(rest), place
        except ValueError as error:
            raise BadPort(str(error)) from error
    if not place.strip():
        raise BadPort("names no port")
    module, _, attribute = place.rpartition(":")
    if not module or not attribute.isidentifier():
        module, attribute = place, ""
    is_file = module.endswith(".py") or "/" in module or Path(module).is_file()
    found, name = _import(module, is_file), Path(module).stem if is_file else module
    if not attribute:
        return found, name
    if not hasattr(found, attribute):
        raise BadPort(f"{name} has no {attribute}")
    return getattr(found, attribute), attribute


def _import(place: str, is_file: bool) -> Any:
    """The module of this file, or of this name. Raises BadPort where it cannot be imported."""
    try:
        if not is_file:
            sys.path.insert(0, "")
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file() or path.suffix != ".py":
            raise BadPort("is no Python file" if path.exists() else "there is no such file")
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
    except (BadPort, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise BadPort(f"cannot be imported: {_in_a_line(error)}") from error
    return module
