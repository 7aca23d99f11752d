"""How types and shapes in annotations are checked while the tests run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import beartype


def of_lasting_functions(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The function with beartype's check, or as it is if it is defined inside another function.

    An inner function is defined anew at each call, and preparing its check would take a hundred
    times as long as running it.
    """
    if "<locals>" in function.__qualname__:
        return function
    return beartype.beartype(function, **options)
