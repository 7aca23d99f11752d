"""The package's code, a fragment for each definition, so that no page can drift from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "timesformer_ref",
    "spec_tests/ports",
    "spec_tests/harness/vectors",
    "docs/examples/port",
)


def write_code(folder: Path) -> None:
    """Write `FILE/NAME.py` for every top-level definition of the package and the ports."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            write_definitions(file, folder / file.relative_to(ROOT).with_suffix(""))


def write_definitions(file: Path, folder: Path) -> None:
    """Write each function, class, method (`CLASS.METHOD.py`) and constant of one file."""
    source = file.read_text("utf-8")
    lines = source.splitlines(keepends=True)
    for name, node in definitions(ast.parse(source)):
        folder.mkdir(parents=True, exist_ok=True)
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = dedent("".join(lines[start - 1 : node.end_lineno]))
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


def definitions(parent: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.stmt]]:
    """What a file or a class defines, and what its classes define, by name."""
    for node in parent.body:
        if name := defined_name(node):
            yield name, node
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{inner}", part) for inner, part in definitions(node))


def defined_name(node: ast.stmt) -> str | None:
    """What a statement defines, if anything."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None
