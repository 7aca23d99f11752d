"""How hard Hypothesis looks for inputs that break a port."""

from __future__ import annotations

from hypothesis import settings


def register_profiles(chosen: str | None) -> None:
    """`default` gives everybody the same inputs; `thorough` twenty times as many, and new ones."""
    settings.register_profile("conformance", max_examples=100, derandomize=True, database=None)
    settings.register_profile("thorough", max_examples=2000, print_blob=True)
    settings.load_profile(chosen or "conformance")
