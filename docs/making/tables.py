"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return of_lines([head, ["---"] * len(head), *rows]) + "\n"


def of_lines(lines: Iterable[Sequence[str]]) -> str:
    """The lines of a Markdown table, the second of which aligns its columns."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
