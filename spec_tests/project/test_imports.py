"""Who imports whom: downwards only, without circles, and the suite from one command."""

from __future__ import annotations

import ast
import pydoc
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import timesformer_ref

PACKAGE = Path(timesformer_ref.__file__).parent
FLOORS = (
    {"schemes", "atomic", "default_model"},
    {"config"},
    {"weights"},
    {"numpy_blocks", "torch_blocks"},
    {"inference"},
    {"input"},
    {"checkpoints"},
    {"use", "training"},
    {"benchmark"},
    {"cli"},
    {"__init__", "__main__"},
)
"""The rooms, from the tables up; a room imports what lies below it."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def name_of(file):
    """A module's name below the package: `input.video`; a package has its own."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imported(file):
    """The names of all modules that a file imports, those of the package without its name."""
    tree = ast.parse(file.read_text("utf-8"))
    for part in ast.walk(tree):
        if isinstance(part, ast.If) and ast.unparse(part.test) == "TYPE_CHECKING":
            part.body = []  # a type's name, and no import when it runs
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "timesformer_ref":
            yield from (a.name if a.name in MODULES else "__init__" for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("timesformer_ref."):
            name = node.module.removeprefix("timesformer_ref.")
            inner = [f"{name}.{alias.name}" for alias in node.names]
            yield from ([i for i in inner if i in MODULES] or [name])
        elif isinstance(node, ast.ImportFrom):
            yield node.module


GRAPH = {module: set(imported(file)) for module, file in MODULES.items()}


def room(module):
    return module.partition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    wrong = [
        other
        for other in GRAPH[module] & MODULES.keys()
        if room(other) != room(module) and FLOOR[room(other)] >= FLOOR[room(module)]
    ]
    assert not wrong, f"{module} imports {wrong}, which stand no lower"


def test_there_is_no_circle():
    inside = {module: others & MODULES.keys() - {module} for module, others in GRAPH.items()}
    list(TopologicalSorter(inside).static_order())


def test_only_two_commands_reach_up_to_the_suite():
    reaching = {m for m, others in GRAPH.items() if "spec_tests" in map(room, others)}
    assert reaching == {"cli.conform"}


def test_the_specification_knows_no_torch_and_the_torch_blocks_no_specification():
    for module, others in GRAPH.items():
        if room(module) == "numpy_blocks":
            assert "torch" not in map(room, others), module
        if room(module) == "torch_blocks":
            assert "numpy_blocks" not in map(room, others), module


def test_few_modules_lie_loose():
    loose = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert len(loose) <= 6, loose


def test_help_on_the_package_is_a_page_that_names_all_it_exports():
    page = pydoc.plain(pydoc.render_doc(timesformer_ref))
    assert len(page.splitlines()) < 60
    words = set(re.findall(r"\w+", page))
    assert words >= set(timesformer_ref.__all__)


@pytest.mark.parametrize("name", timesformer_ref.__all__)
def test_what_the_package_exports_is_there(name):
    assert getattr(timesformer_ref, name).__name__ == name
