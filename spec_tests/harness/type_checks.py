"""How the shapes in annotations are checked while the tests run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import beartype


def of_lasting_functions(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """beartype's check, but none of a function that another makes at each call.

    There, to prepare the check takes a hundred times as long as what it checks.
    """
    if "<locals>" in function.__qualname__:
        return function
    return beartype.beartype(function, **options)
