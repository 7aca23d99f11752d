"""Docstrings state arguments in lines `name: …`; on the site these become lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from griffe import Class, Extension, Function, Object

ENDS = ("Returns ", "Raises ", "Warns ")  # these sentences speak of the whole again


class ArgumentLists(Extension):
    """For mkdocstrings: the arguments of functions and the fields of classes as Markdown lists."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Lay out a docstring, once its object is known whole."""
        if obj.docstring and isinstance(obj, Function | Class):
            names = {parameter.name for parameter in obj.parameters} | set(obj.members)
            obj.docstring.value = laid_out(obj.docstring.value, names)


def laid_out(docstring: str, names: Iterable[str]) -> str:
    """The text with each line or sentence that starts with names and a colon as a list's item."""
    name = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    entry = re.compile(rf"(?:^|(?<=[.;] ))((?:{name})(?:, (?:{name}))*): ", re.MULTILINE)
    return "\n".join(marked_lines(docstring, entry))


def marked_lines(docstring: str, entry: re.Pattern[str]) -> Iterator[str]:
    """The lines, those of a list's items marked and indented."""
    within = False
    for line in docstring.splitlines():
        if entry.match(line):
            yield from [] if within else [""]
            within = True
            yield entry.sub(r"\n- **\1**: ", line).lstrip("\n")
        elif within and (not line or line.startswith(ENDS)):
            within = False
            yield f"\n{line}"
        else:
            yield f"    {line.strip()}" if within else line
