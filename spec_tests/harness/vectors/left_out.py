"""What of the suite is no vector, and why."""

from __future__ import annotations

from typing import Any

READS_FILES = "judges this project's reader of files; a port's own reader has files of its own"
STATISTIC = "a statistic of random weights, which no single answer shows"
LEFT_OUT = {
    "test_numbers_of_the_original_at_full_size": "hundreds of MB, which the generator makes",
    **dict.fromkeys(["CKPT-1", "CKPT-2", "CKPT-3", "CKPT-4", "CKPT-5"], READS_FILES),
    **dict.fromkeys(["INIT-6", "INIT-7", "INIT-8", "INIT-9"], READS_FILES),
    **dict.fromkeys(["INIT-1", "INIT-4", "INIT-5"], STATISTIC),
    "VIEW-7": "a sum over views, which is the caller's",
    "test_gradients_against_finite_differences": "a property of gradients; GRAD-2 holds them too",
}
"""Why a requirement, or one of its tests, has no cases."""


def reason(name: str, requirements: list[str]) -> str:
    """Why a test has no cases, if so."""
    return next((LEFT_OUT[key] for key in [name, *requirements] if key in LEFT_OUT), "")


def row(test: str, requirements: list[str], why: str) -> dict[str, Any]:
    """A row of the index about a test without cases."""
    return {"test": test, "requirements": requirements, "reason": why}
