"""A port in any language: a program that answers a line a call (`--port cmd:COMMAND`)."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from inspect import signature
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from spec_tests.porting import DEFAULTS, FUNCTIONS, BadPort, Breakdown, NotOffered, Refusal
from spec_tests.ports import numpy_port

KEPT = 4
"""Weights files that are left for the program to come back to."""


class CommandPort:
    """A program by the port interface: attributes as it describes itself, functions as calls.

    command: started once, and again after it broke down. timeout: seconds for a call.
    """

    def __init__(self, command: str, timeout: float) -> None:
        self.command, self.timeout = shlex.split(command), timeout
        self._folder = tempfile.TemporaryDirectory(prefix="timesformer-port-")
        self._numbers = iter(range(sys.maxsize))
        self._weights: OrderedDict[int, tuple[Mapping[str, np.ndarray], Path]] = OrderedDict()
        self._broken: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self._describe()

    def _describe(self) -> None:
        try:
            _, told = self._exchange(None, {"function": "describe"}, {})
        except (NotOffered, Refusal):
            return
        except Breakdown as error:
            raise BadPort(f"--port cmd:{shlex.join(self.command)}: {error}") from error
        for name, value in told.items():
            if name in DEFAULTS:
                is_text = isinstance(DEFAULTS[name], str)
                setattr(self, name, value if is_text else _json(name, value))

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function not in FUNCTIONS:
            raise AttributeError(function)
        return partial(self._call, function)

    def _call(self, function: str, *args: Any) -> Any:
        if function in self._broken:
            raise Breakdown(f"{self._broken[function]} (and was not asked again)")
        names = signature(getattr(numpy_port, function)).parameters
        weights, metadata, tensors = None, {"function": function}, {}
        for name, value in zip(names, args, strict=False):
            if isinstance(value, Mapping):
                weights = self._file_of(value)
            elif isinstance(value, np.ndarray):
                tensors["labels" if name == "labels" else "input"] = value
            else:
                metadata[name] = _text(value)
        answer, _ = self._exchange(weights, metadata, tensors)
        if function == "initial_weights":
            return answer
        if function == "gradients":
            return _tensor(answer, "loss"), {n: g for n, g in answer.items() if n != "loss"}
        return _tensor(answer, "output")

    def _file_of(self, weights: Mapping[str, np.ndarray]) -> Path:
        """The file of these weights, written at their first call."""
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
        """Tensors and metadata of the program's answer to one request."""
        request, response = self._path("request"), self._path("response")
        tensors = {n: np.ascontiguousarray(x) for n, x in tensors.items()}
        save_file(tensors, request, metadata)
        try:
            self._ask(f"{weights or ''}\t{request}\t{response}", metadata["function"])
            answer, told = _read(response)
        finally:
            request.unlink()
            response.unlink(missing_ok=True)
        if "unsupported" in told:
            raise NotOffered(told["unsupported"] or f"the port has no {metadata['function']}")
        if "error" in told:
            raise Refusal(told["error"], "error")
        return answer, told

    def _ask(self, line: str, function: str) -> None:
        """Send a line and wait for `done`."""
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            reply = self._lines.get(timeout=self.timeout)
        except Empty:
            self._stop()
            self._broken[function] = (
                f"the program hung: no answer to {function} in {self.timeout:g} s"
            )
            raise Breakdown(self._broken[function]) from None
        except OSError:
            reply = None
        if reply is None:
            raise Breakdown(self._last_words())
        if reply.strip() != "done":
            self._stop()
            raise Breakdown(
                f"the program answered {reply.strip()[:80]!r}, expected the line 'done'"
            )

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        try:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                text=True, errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise Breakdown(f"the program does not start: {error}") from error
        self._lines: Queue[str | None] = Queue()
        Thread(target=_collect, args=(self._process.stdout, self._lines), daemon=True).start()

    def _last_words(self) -> str:
        """How the program ended, with the end of what it wrote to standard error."""
        self._process.wait(timeout=5)
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._errors.seek(0)
        words = " ".join(self._errors.read()[-400:].split())
        return f"the program {how}" + (f": {words}" if words else "")

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _collect(stream: IO[str], lines: Queue[str | None]) -> None:
    """Every line of the program's output; None at its end."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(path, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise Breakdown("the program said 'done' without writing the response file") from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise Breakdown(f"the response is no safetensors file: {error}") from error


def _tensor(answer: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in answer:
        raise Breakdown(f"the response has {sorted(answer) or 'no tensors'}, expected {name!r}")
    return answer[name]


def _text(value: Any) -> str:
    """An argument as metadata: configs and grids as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(asdict(value) if hasattr(value, "attention_type") else value)


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise BadPort(f"the program describes {name} as {value!r}, which is no JSON") from error
