"""The port of a mutant, or of several: the NumPy implementation's modules, some with a mistake."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib import import_module
from itertools import permutations
from pathlib import Path
from types import CodeType, ModuleType

from spec_tests.mutants import table
from spec_tests.mutants.table import Mutant

ROOT = Path(__file__).parents[2]
INIT = "timesformer_ref/numpy_blocks/__init__.py"
FILES = (
    table.SCHEMES,
    table.CONFIG,
    table.WEIGHTS,
    INIT,
    table.LAYERS,
    table.PATCHIFY,
    table.TIME,
    table.ATTENTION,
    table.CLASSIFIER,
    table.MODEL,
    table.BACKWARD,
    table.INITIALISE,
    table.SAMPLING,
    table.VIEWS,
    table.PORT,
)
"""The files that a mutant may change, in the order of imports, the port last."""

PACKAGE = "mutant_modules"
"""Where the modules of the mutant that was built last are found by name."""

Sources = dict[str, str]
"""The text of each file by its path."""


class Uncomposable(ValueError):
    """The patches of some mutants exclude each other."""


@cache
def sources() -> Sources:
    """The text of each file without a mistake."""
    return {file: (ROOT / file).read_text("utf-8") for file in FILES}


def patched(mutants: Iterable[Mutant]) -> Sources:
    """The files with the patches of these mutants, one after another.

    Raises Uncomposable for a patch whose old text does not stand exactly once in its file.
    """
    texts = dict(sources())
    for mutant in mutants:
        for file, old, new in mutant.patches:
            if (count := texts[file].count(old)) != 1:
                message = f"mutant {mutant.name}: {file} holds {count} times, not once:\n{old}"
                raise Uncomposable(message)
            texts[file] = texts[file].replace(old, new)
    return texts


def orders(mutants: tuple[Mutant, ...]) -> Iterator[Sources]:
    """The files with the patches of all these mutants, in each order that gives other files."""
    seen: list[Sources] = []
    for order in permutations(mutants):
        try:
            texts = patched(order)
        except Uncomposable:
            continue
        if texts not in seen:
            seen.append(texts)
            yield texts


def build(*mutants: Mutant) -> ModuleType:
    """A port with the mistakes of these mutants; the real modules stay as they are.

    Raises Uncomposable (a ValueError) where the patches do not fit, in this order.
    """
    return port_of(patched(mutants), ", ".join(mutant.name for mutant in mutants))


def build_named(names: str) -> ModuleType:
    """The port with the mistakes of the mutants of these names, which a + separates.

    Raises ValueError where there is none of a name, or where they cannot be composed.
    """
    found = {mutant.name: mutant for mutant in table.MUTANTS}
    for name in names.split("+"):
        if name not in found:
            raise ValueError(f"there is no mutant {name}: the specification lists them")
    return build(*(found[name] for name in names.split("+")))


def port_of(texts: Sources, name: str) -> ModuleType:
    """The port that these files make: those that differ from the real ones, and what uses them."""
    copied = {INIT, table.PORT}
    for file in FILES:
        if texts[file] != sources()[file] or used_by(file) & copied - {INIT}:
            copied.add(file)
    for file in FILES:
        own = f" of mutant {name}" if texts[file] != sources()[file] else " of a mutant"
        shown = f"<{file}{own}>"
        copy = _copy(file, texts[file], shown) if file in copied else import_module(_name(file))
        sys.modules[_renamed(_name(file))] = port = copy
    port.NAME, port.DTYPE = name, "float32"
    return port


def _name(file: str) -> str:
    """The dotted name of a file's module."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def used_by(file: str) -> set[str]:
    """Those of the files whose modules a file imports."""
    nodes = [n for n in ast.walk(ast.parse(sources()[file])) if isinstance(n, ast.ImportFrom)]
    names = {n.module for n in nodes} | {f"{n.module}.{a.name}" for n in nodes for a in n.names}
    return {used for used in FILES if _name(used) in names}


@lru_cache(1000)
def _renamed(text: str) -> str:
    """A source, or a name, with the names of the modules where a mutant's are found."""
    names = "|".join(_name(file).partition(".")[2] for file in FILES)
    return re.sub(rf"\b(timesformer_ref|spec_tests)\.(?=({names})\b)", f"{PACKAGE}.", text)


@lru_cache(1000)
def _code(text: str, shown: str) -> CodeType:
    return compile(_renamed(text), shown, "exec")


def _copy(file: str, text: str, shown: str) -> ModuleType:
    """A module made from this source; tracebacks show its lines, under the name `shown`."""
    module = ModuleType(_renamed(_name(file)))
    module.__file__ = shown
    linecache.cache[shown] = len(text), None, text.splitlines(keepends=True), shown
    sys.modules[module.__name__] = module
    exec(_code(text, shown), module.__dict__)
    return module
