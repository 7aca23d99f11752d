"""A program in any language as a process: start it, exchange lines with it, end it."""

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
"""Unread lines that are kept; the output of a program that writes more is not read any longer."""

LONGEST = 1000
"""How many bytes of a line, and of the end of standard error, are kept."""


class Program:
    """A process that replies to each line with a line; after a breakdown a new one is started.

    command: the program and its arguments. timeout: seconds until a reply.
    """

    def __init__(self, command: list[str], timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def exchange(self, line: str) -> str:
        """Send a line and return the reply. Raises Breakdown where none comes."""
        if self._process is None:
            self._start()
        try:
            return self._exchange(line)
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
                start_new_session=True,  # its own group, which is killed as a whole
            )
        except (OSError, ValueError) as error:
            raise Breakdown(f"the program does not start: {error}") from error
        self._lines: Queue[str | None] = Queue()
        self._begun, self._errors = bytearray(), bytearray()
        self._reader = _thread(_collect, self._process.stdout, self._lines, self._begun)
        self._listener = _thread(_keep_the_end, self._process.stderr, self._errors)

    def _exchange(self, line: str) -> str:
        if not self._lines.empty() and (early := self._lines.get()) is not None:
            raise Breakdown(f"the program wrote {early!r} before it was sent a request")
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise Breakdown(self._how_it_ended("closed its standard input")) from None
        try:
            reply = self._lines.get(timeout=self.timeout)
        except Empty:
            raise Hang(f"the program hung: no reply in {self.timeout:g} s; {self._why()}") from None
        if reply is None:
            raise Breakdown(self._how_it_ended("closed its standard output"))
        return reply

    def _why(self) -> str:
        """What usually keeps a reply back."""
        if self._begun:
            return f"it wrote {bytes(self._begun).decode(errors='replace')!r} without a newline"
        return (
            "a reply is one line, flushed at once, written before the next request or the end of "
            "the input is read; a slow program gets longer by --port-timeout"
        )

    def _how_it_ended(self, otherwise: str) -> str:
        """How the process ended: exit code or signal, and the end of its standard error."""
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
        """Kill the program and all processes that it has started."""
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
        """Close the program's input, at which it should exit; kill it where it does not."""
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


def _collect(stream: IO[bytes], lines: Queue[str | None], begun: bytearray) -> None:
    """Put each line of the program's output on the queue, and None at the end.

    begun: holds the line that has no newline yet.
    """
    with stream:
        while lines.qsize() < UNREAD and (chunk := stream.read1(LONGEST)):
            *whole, rest = (begun + chunk).split(b"\n")
            if len(rest) >= LONGEST:
                whole, rest = [*whole, rest], b""
            begun[:] = rest
            for line in whole:
                lines.put(line[:LONGEST].decode(errors="replace").rstrip("\r"))
    if begun:
        lines.put(begun.decode(errors="replace"))
    lines.put(None)


def _keep_the_end(stream: IO[bytes], kept: bytearray) -> None:
    """Keep the last bytes of the program's standard error."""
    with stream:
        while chunk := stream.read1(1 << 16):
            kept[:] = (kept + chunk)[-LONGEST:]
