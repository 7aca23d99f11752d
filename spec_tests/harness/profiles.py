"""How many inputs Hypothesis tries."""

from __future__ import annotations

from hypothesis import settings


def register_profiles(chosen: str | None) -> None:
    """Load a profile of Hypothesis: `conformance` (the same inputs in each run) unless chosen.

    `thorough` tries twenty times as many inputs, other ones in each run; `few` tries the first 25.
    """
    settings.register_profile("conformance", max_examples=100, derandomize=True, database=None)
    settings.register_profile("few", max_examples=25, derandomize=True, database=None)
    settings.register_profile("thorough", max_examples=2000, print_blob=True)
    settings.load_profile(chosen or "conformance")
