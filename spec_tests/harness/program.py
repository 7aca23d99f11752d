"""A program in any language: started, asked a line at a time, ended with all that it started."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from typing import IO

from spec_tests.harness.errors import Breakdown, Hang

UNREAD = 100
"""Lines that wait to be read; a program that writes more is not listened to any longer."""

LONGEST = 1000
"""Bytes of a line, and of the end of standard error, that are kept."""


class Program:
    """A process that answers a line with a line; a fresh one after it broke down.

    command: the program and its arguments. timeout: seconds for an answer.
    """

    def __init__(self, command: list[str], timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def ask(self, line: str) -> str:
        """Send a line and wait for the answer. Raises Breakdown where none comes."""
        if self._process is None:
            self._start()
        try:
            return self._ask(line)
        except BaseException:  # Ctrl-C too
            self.stop()
            raise

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a group of its own, to be killed with all it started
            )
        except (OSError, ValueError) as error:
            raise Breakdown(f"the program does not start: {error}") from error
        self._lines: Queue[str | None] = Queue()
        self._errors = bytearray()
        self._reader = _thread(_collect, self._process.stdout, self._lines)
        self._listener = _thread(_keep_the_end, self._process.stderr, self._errors)

    def _ask(self, line: str) -> str:
        if not self._lines.empty() and (unasked := self._lines.get()) is not None:
            raise Breakdown(f"the program wrote {unasked!r} without being asked")
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise Breakdown(self._how_it_ended("closed its standard input")) from None
        try:
            answer = self._lines.get(timeout=self.timeout)
        except Empty:
            raise Hang(f"the program hung: no answer in {self.timeout:g} s") from None
        if answer is None:
            raise Breakdown(self._how_it_ended("closed its standard output"))
        return answer

    def _how_it_ended(self, otherwise: str) -> str:
        """The exit code or signal, with the end of what it wrote to standard error."""
        try:
            code = self._process.wait(timeout=min(1, self.timeout))
        except subprocess.TimeoutExpired:
            how = otherwise
        else:
            how = f"ended with exit code {code}" if code >= 0 else f"was killed by {_signal(-code)}"
            self._listener.join(timeout=1)
        words = " ".join(self._errors.decode(errors="replace").split())
        return f"the program {how}" + (f": {words}" if words else "")

    def stop(self) -> None:
        """Kill the program and what it has started."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        with suppress(OSError):
            process.stdin.close()

    def close(self) -> None:
        """Let the program end by itself, as it should at the end of its input; else kill it."""
        if self._process is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._process.stdin.close()
                self._process.wait(timeout=1)
        self.stop()


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _thread(run: Callable[..., None], *arguments: object) -> Thread:
    thread = Thread(target=run, args=arguments, daemon=True)
    thread.start()
    return thread


def _collect(stream: IO[bytes], lines: Queue[str | None]) -> None:
    """Every line of the program's output as long as somebody reads them; None at the end."""
    with stream:
        while lines.qsize() < UNREAD and (line := stream.readline(LONGEST)):
            lines.put(line.decode(errors="replace").rstrip("\r\n"))
    lines.put(None)


def _keep_the_end(stream: IO[bytes], kept: bytearray) -> None:
    """The last bytes of the program's standard error."""
    with stream:
        while chunk := stream.read1(1 << 16):
            kept[:] = (kept + chunk)[-LONGEST:]
