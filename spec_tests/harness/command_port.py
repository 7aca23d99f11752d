"""A port in any language: a program that is sent one line per call (`--port cmd:COMMAND`)."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from spec_tests.harness.errors import BadPort, Breakdown, Hang, NotOffered, NotRun, Refusal
from spec_tests.harness.interface import DEFAULTS, FUNCTIONS
from spec_tests.harness.program import Program

KEPT = 4
"""How many weights files stay on the disk, so that the program can read them again."""

PATIENCE = 6
"""After how many breakdowns a function that has never returned is not called again."""


class CommandPort:
    """A program as an object with the attributes and functions of the port interface.

    command: started once, and again after each breakdown. timeout: seconds per call.
    Raises BadPort for a command that cannot be started, or describes itself wrongly.
    """

    def __init__(self, command: str, timeout: float) -> None:
        self._program = Program(_words(command), timeout)
        self._folder = tempfile.TemporaryDirectory(prefix="timesformer-port-")
        self._numbers = iter(range(sys.maxsize))
        self._weights: OrderedDict[int, tuple[Mapping[str, np.ndarray], Path]] = OrderedDict()
        self._answered: set[str] = set()
        self._breakdowns: Counter[str] = Counter()
        self._given_up: dict[str, str] = {}
        self._describe()

    def close(self) -> None:
        """End the program and remove its files."""
        self._program.close()
        self._folder.cleanup()

    @contextmanager
    def patience(self, factor: float) -> Iterator[None]:
        """In this context a call may take so many times as long."""
        self._program.timeout *= factor
        yield
        self._program.timeout /= factor

    def _describe(self) -> None:
        try:
            _, attributes = self._exchange(None, {"function": "describe"}, {})
        except NotOffered:
            return
        except Breakdown as error:
            raise BadPort(f"describe: {error}") from error
        except Refusal as error:
            raise BadPort(f"describe: the program responded with the error {error}") from error
        for name, value in attributes.items():
            if name in DEFAULTS:
                is_text = isinstance(DEFAULTS[name], str)
                setattr(self, name, value if is_text else _json(name, value))

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function not in FUNCTIONS:
            raise AttributeError(function)
        return partial(self._call, function)

    def _call(self, function: str, *args: Any) -> Any:
        weights, metadata, tensors = None, {"function": function}, {}
        for name, value in zip(FUNCTIONS[function], args, strict=True):
            if isinstance(value, Mapping):
                weights = self._file_of(value)
            elif isinstance(value, np.ndarray):
                tensors["labels" if name == "labels" else "input"] = value
            else:
                metadata[name] = as_text(value)
        answer, _ = self._exchange(weights, metadata, tensors)
        if function == "initial_weights":
            return answer
        if function == "gradients":
            return _tensor(answer, "loss"), {n: g for n, g in answer.items() if n != "loss"}
        return _tensor(answer, "output")

    def _file_of(self, weights: Mapping[str, np.ndarray]) -> Path:
        """The file of these weights, which is written when they are first used."""
        key = id(weights)
        if key not in self._weights:
            path = self._path("weights")
            save_file({n: np.ascontiguousarray(w) for n, w in weights.items()}, path)
            self._weights[key] = weights, path
            if len(self._weights) > KEPT:
                _, (_, old) = self._weights.popitem(last=False)
                old.unlink()
        return self._weights[key][1]

    def _path(self, kind: str) -> Path:
        return Path(self._folder.name, f"{kind}-{next(self._numbers)}.safetensors")

    def _exchange(
        self, weights: Path | None, metadata: dict[str, str], tensors: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The tensors and metadata of the program's response to one request."""
        function = metadata["function"]
        if why := self._given_up.get(function):
            raise NotRun(f"{function} was not called again after a failure: {why}")
        request, response = self._path("request"), self._path("response")
        tensors = {n: np.ascontiguousarray(x) for n, x in tensors.items()}
        save_file(tensors, request, metadata)
        try:
            self._send(f"{weights or ''}\t{request}\t{response}")
            answer, metadata = _read(response)
        except Breakdown as breakdown:
            self._count(function, breakdown)
            raise
        finally:
            for path in (request, response):
                with suppress(OSError):
                    path.unlink()
        self._answered.add(function)
        if "unsupported" in metadata:
            raise NotOffered(metadata["unsupported"] or f"the port lacks {function}")
        if "error" in metadata:
            raise Refusal(metadata["error"], "error")
        return answer, metadata

    def _send(self, line: str) -> None:
        """Send a line and read the line `done`. Raises Breakdown for another one."""
        reply = self._program.exchange(line)
        if reply.strip() != "done":
            self._program.stop()
            raise Breakdown(
                f"the program wrote {reply[:80]!r}, expected the line 'done' "
                "(anything else belongs on standard error)"
            )

    def _count(self, function: str, breakdown: Breakdown) -> None:
        """Call a function no more that hung, or never returned, so that the run comes to an end."""
        self._breakdowns[function] += 1
        hopeless = function not in self._answered and self._breakdowns[function] >= PATIENCE
        if isinstance(breakdown, Hang) or hopeless:
            self._given_up[function] = str(breakdown)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(path, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise Breakdown("the program said 'done' without writing the response file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise Breakdown(f"the response is not a safetensors file: {error}") from error
    except (TypeError, AttributeError) as error:
        raise Breakdown(f"the response has a type that NumPy lacks: {error}") from error


def _tensor(answer: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in answer:
        raise Breakdown(f"the response has {sorted(answer) or 'no tensors'}, expected {name!r}")
    return answer[name]


def _words(command: str) -> list[str]:
    """The command's program and arguments. Raises BadPort where there is none."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadPort(f"the command cannot be read: {error}") from error
    if not words:
        raise BadPort("names no program")
    return words


def as_text(value: Any) -> str:
    """An argument as metadata: strings as they are, all else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(asdict(value) if hasattr(value, "attention_type") else value)


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise BadPort(f"describe: {name} is {value!r}, which is not JSON") from error
