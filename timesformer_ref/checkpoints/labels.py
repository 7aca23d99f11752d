"""Names of classes, from a file that a user gives."""

import json
from pathlib import Path


class LabelError(Exception):
    """A file that does not name the classes of a checkpoint; names the file, and what is wrong."""


def is_text(label: str) -> bool:
    """Whether a label can be written: JSON can name half a character, a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in label)


def read_labels(path: Path, classes: int) -> tuple[str, ...]:
    """The name of each class: a line each, or JSON, a list or an object from or to numbers.

    Raises LabelError where the file cannot be read or does not name exactly `classes` classes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not readable as text ({error})") from error
    try:
        content = json.loads(text) if text.lstrip()[:1] in ("[", "{") else text.split("\n")
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not valid JSON ({error})") from error
    if isinstance(content, dict):
        content = _by_number(path, content)
    labels = [str(label).strip() for label in content]
    while labels and not labels[-1]:
        labels.pop()
    if half := [label for label in labels if not is_text(label)]:
        raise LabelError(f"{path}: the label {half[0]!r} is not text")
    if len(labels) != classes:
        raise LabelError(f"{path}: expected the names of {classes} classes, found {len(labels)}")
    return tuple(labels)


def _by_number(path: Path, content: dict[str, object]) -> list[object]:
    """The labels of an object in order: {"0": "dancing"} or {"dancing": 0}."""
    try:
        if all(key.isdecimal() for key in content):
            named = {int(key): label for key, label in content.items()}
        else:
            named = {int(str(number)): label for label, number in content.items()}
        return [named[i] for i in range(len(named))]
    except (KeyError, ValueError) as error:
        raise LabelError(f"{path}: does not number its classes from 0 without a gap") from error
