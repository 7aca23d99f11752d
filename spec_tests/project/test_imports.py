"""Who imports whom: downwards only, without circles, and the suite from one command."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import timesformer_ref

PACKAGE = Path(timesformer_ref.__file__).parent
EXAMPLE = str(PACKAGE.parent / "docs/assets/example.mp4")
FLOORS = (
    {"schemes", "atomic", "default_model", "endings"},
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


def imported(file, at_once=False):
    """The names of all modules that a file imports, those of the package without its name.

    at_once: leave out those that a function imports when it is called.
    """
    tree = ast.parse(file.read_text("utf-8"))
    for part in ast.walk(tree):
        if at_once and isinstance(part, ast.FunctionDef):
            part.body = []
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


AT_ONCE = {module: set(imported(file, at_once=True)) for module, file in MODULES.items()}
SLOW = {"torch", "numpy", "scipy", "av", "jaxtyping", "matplotlib", "yaml", "huggingface_hub"}
NOT_FOR_A_LOCAL_FILE = {"scipy", "matplotlib", "yaml", "huggingface_hub", "accelerate", "onnx"}


def loaded_with(*modules):
    """All that importing modules imports: this package's by their names, libraries by theirs."""
    found, left = set(), {*modules}
    while left:
        found.add(module := left.pop())
        folder = module.rpartition(".")[0]
        left |= ({folder} | AT_ONCE.get(module, set())) - found
    return {module if module in MODULES else room(module) for module in found}


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


@pytest.mark.parametrize("command", [module for module in MODULES if room(module) == "cli"])
def test_commands_answer_wrong_use_before_slow_imports(command):
    assert not loaded_with(command) & SLOW


def test_a_local_file_and_a_small_model_need_neither_hub_nor_export():
    classify = ast.parse(MODULES["cli.classify"].read_text("utf-8"))
    needed = {node.module for node in ast.walk(classify) if isinstance(node, ast.ImportFrom)}
    ours = {n.removeprefix("timesformer_ref.") for n in needed} & MODULES.keys()
    found = loaded_with(*ours - {"use.timeline_picture"}, "checkpoints", "checkpoints.choosing")
    assert found > {"use.classify", "torch"}
    assert not found & {*NOT_FOR_A_LOCAL_FILE, "checkpoints.hub", "use.export", "training"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        ("--help", SLOW),
        ("classify --help", SLOW),
        ("classify", SLOW),
        ("classify x.mp4 --clips 0", SLOW),
        ("classify x.mp4 --timeline --picture x.txt", SLOW),
        ("features x.mp4 --out x.txt", SLOW),
        ("attend x.mp4 --out x.jpg", SLOW),
        ("attend x.mp4 --out x.png --rate fast", SLOW),
        ("convert a b.onnx", SLOW),
        ("export --out x.txt", SLOW),
        ("train videos --out run", SLOW),
        (f"classify {EXAMPLE}", {*NOT_FOR_A_LOCAL_FILE, "beartype", "pytest", "transformers"}),
    ],
)
def test_what_a_command_does_not_import(arguments, without):
    script = (
        "import sys; from timesformer_ref.cli import main\n"
        "try: main()\nfinally: print(*sys.modules, sep='\\n')"
    )
    words = [sys.executable, "-c", script, *arguments.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    loaded = set(done.stdout.splitlines())
    assert "timesformer_ref.cli" in loaded, done.stderr
    assert done.returncode == (0 if "help" in arguments or EXAMPLE in arguments else 2)
    assert not loaded & without


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
