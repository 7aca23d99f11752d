"""The requirements, read from the specification page (`docs/specification.md`)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PAGES = (
    Path(__file__).parents[1] / "specification.md",  # in the wheel
    Path(__file__).parents[2] / "docs" / "specification.md",
)


class Requirement(NamedTuple):
    """One requirement. `text`: its sentence. `hint`: the usual reason why a port breaks it."""

    id: str
    group: str
    text: str
    hint: str


@cache
def page() -> str:
    """The text of the specification."""
    return next(page for page in PAGES if page.is_file()).read_text(encoding="utf-8")


@cache
def version() -> str:
    """The version of the specification, such as 1.0."""
    return re.search(r"^This is version (\d+\.\d+)", page(), re.MULTILINE)[1]


@cache
def requirements() -> dict[str, Requirement]:
    """All requirements by id, in the order of the page."""
    found = {}
    for section in re.split(r"^## ", page(), flags=re.MULTILINE)[1:]:
        group = section.partition("\n")[0]
        for entry in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
            name, _, body = entry.partition("\n")
            text, *notes = re.split(r"^- ", body.partition("\n--8<--")[0], flags=re.MULTILINE)
            hints = [n.removeprefix("Ports: ") for n in notes if n.startswith("Ports: ")]
            found[name] = Requirement(name, group, _line(text), _line(" ".join(hints)))
    return found


def named_by(test: Any) -> list[str]:
    """The ids of the requirements that a test's marks, or those of its parameters, name."""
    marks = list(getattr(test, "pytestmark", ()))
    rows = [row for mark in marks if mark.name == "parametrize" for row in mark.args[1]]
    marks += [mark for row in rows for mark in getattr(row, "marks", ())]
    return [name for mark in marks if mark.name == "requirement" for name in mark.args]


def _line(text: str) -> str:
    return " ".join(text.split())
