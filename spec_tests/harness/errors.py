"""What may happen when a port is loaded or called, as exceptions."""

from __future__ import annotations


class BadPort(Exception):
    """There is no port to test; the message names the reason and what would be right."""


class NotOffered(Exception):
    """The port lacks a function or a scheme, so that a test of it cannot run."""


class NotRun(Exception):
    """What would take too long was left out; the message says why, or how it is run."""


class Refusal(Exception):
    """The port raised an error, or its response was one; `kind` is the error's type."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Breakdown(Exception):
    """The port crashed, hung or returned garbage: no refusal of an input, but a failure."""


class Hang(Breakdown):
    """The port's program did not answer in time."""
