"""The two implementations side by side: each function beside its twin, line by line, with notes.

A line without a counterpart stands beside a filler, an empty line. Fillers are marked as
highlighted lines, which the page's style hides where one implementation is seen at a time.
"""

from __future__ import annotations

import ast
import re
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from pathlib import Path

from docs.making.code import ROOT, definitions
from docs.making.twin_notes import TWINS

SWITCH = '=== "NumPy"\n\n=== "PyTorch"\n'
"""Tabs without content: on a phone they choose, by the page's style, whose code is seen."""

Rows = list[tuple[str | None, str | None]]
"""Lines beside each other; None is a filler."""


def write_twins(folder: Path) -> None:
    """Write `NAME.md` for every entry of `TWINS`: notes, and after each its group of lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in TWINS.items():
        parts = [group(note, rows) for pair in pairs for note, rows in groups(*pair)]
        (folder / f"{name}.md").write_text("\n".join([SWITCH, *parts]), encoding="utf-8")


def groups(numpy: str, torch: str, notes: dict[str, str]) -> list[tuple[str, Rows]]:
    """Each note of a pair with the lines that it is about."""
    columns = code("numpy_blocks", numpy), code("torch_blocks", torch)
    rows = beside(*columns)
    starts = [0, *(place(line, rows) for line in list(notes)[1:]), len(rows)]
    parts = [zip(*rows[start:end], strict=True) for start, end in pairwise(starts)]
    return [
        (note, beside(*([line for line in column if line is not None] for column in part)))
        for note, part in zip(notes.values(), parts, strict=True)
    ]


def place(line: str, rows: Rows) -> int:
    """The one row that has a note's line."""
    found = [i for i, row in enumerate(rows) if line in (text and text.strip() for text in row)]
    if len(found) != 1:
        raise ValueError(f"a note stands at the line {line!r}, which is there {len(found)} times")
    return found[0]


def group(note: str, rows: Rows) -> str:
    """A note, then its lines of both; what only one of them has is seen with that one only."""
    columns = dict(zip(("numpy", "pytorch"), map(list, zip(*rows, strict=True)), strict=True))
    sides = [side for side, lines in columns.items() if any(lines)]
    own = [side for side in sides if not (columns[side][0] or "").startswith("#")]
    about = f"\n{{: .{own[0]} }}" if len(own) == 1 else ""
    return "\n".join([f"{note}{about}\n", *(fence(side, columns[side]) for side in sides)])


def fence(side: str, lines: list[str | None]) -> str:
    """Lines of one implementation; its fillers are the highlighted ones."""
    fillers = " ".join(str(number) for number, line in enumerate(lines, 1) if line is None)
    text = "\n".join(line or "" for line in lines)
    return f'```{{ .python .{side} .no-copy hl_lines="{fillers}" }}\n{text}\n```\n'


def code(package: str, name: str) -> list[str]:
    """The lines of a definition, or the one of a comment."""
    if name.startswith("#"):
        return [name]
    file, _, definition = name.partition("/")
    source = (ROOT / "timesformer_ref" / package / f"{file}.py").read_text("utf-8")
    node = dict(definitions(ast.parse(source)))[definition]
    assert isinstance(node, ast.FunctionDef)
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    first = node.body[0]
    if docstring := ast.get_docstring(node):
        start, end = first.lineno - node.lineno, first.end_lineno - node.lineno
        lines[start : end + 1] = [f'{" " * first.col_offset}"""{summary(docstring)}"""']
    return [line.removeprefix(" " * node.col_offset) for line in lines]


def summary(docstring: str) -> str:
    """A docstring's first line: the page says the rest."""
    return docstring.splitlines()[0]


def beside(left: list[str], right: list[str]) -> Rows:
    """Corresponding lines in one row; in between, what has no counterpart, in as few rows.

    The first lines correspond, so that no group begins with a filler.
    """
    later = [(i + 1, j + 1) for i, j in corresponding(left[1:], right[1:])]
    anchors = [(0, 0), *later, (len(left), len(right))]
    rows: Rows = []
    for (i, j), (next_i, next_j) in pairwise(anchors):
        rows += zip_longest(left[i:next_i], right[j:next_j])
    return rows


def corresponding(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Pairs of lines that say the same, in order: those whose likeness sums to the most."""
    best: dict[tuple[int, int], tuple[float, list[tuple[int, int]]]] = {}
    for i in range(len(left), -1, -1):
        for j in range(len(right), -1, -1):
            if i == len(left) or j == len(right):
                best[i, j] = 0.0, []
                continue
            score, pairs = best[i + 1, j + 1]
            matched = score + likeness(left[i], right[j]), [(i, j), *pairs]
            best[i, j] = max(matched, best[i + 1, j], best[i, j + 1], key=lambda found: found[0])
    return best[0, 0][1]


def likeness(left: str, right: str) -> float:
    """How alike two lines are, from what is just enough, 0, to the same, 0.5."""
    words = (re.findall(r"\w+|[^\w\s]", line) for line in (left, right))
    return SequenceMatcher(None, *words, autojunk=False).ratio() - 0.5
