"""The port of a mutant: a copy of the NumPy implementation's modules with the mistake in one."""

from __future__ import annotations

import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

from spec_tests.mutants import table
from spec_tests.mutants.table import Mutant

ROOT = Path(__file__).parents[2]
FILES = (
    table.SCHEMES,
    table.CONFIG,
    table.WEIGHTS,
    "timesformer_ref/numpy_blocks/__init__.py",
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
"""The files that are copied, in the order of imports, the port last; other modules are shared."""


def _name(file: str) -> str:
    """The dotted name of a file's module below its package."""
    return file.removesuffix(".py").removesuffix("/__init__").partition("/")[2].replace("/", ".")


COPIED = rf"\b(timesformer_ref|spec_tests)\.(?=({'|'.join(map(_name, FILES))})\b)"
"""Where a source names a module that is copied: the part before the name below its package."""


def build(mutant: Mutant) -> ModuleType:
    """A port with the mutant's mistake; the real modules stay as they are.

    Raises ValueError for a patch whose old text does not stand exactly once in its file.
    """
    sources = {file: (ROOT / file).read_text("utf-8") for file in FILES}
    for file, old, new in mutant.patches:
        if (count := sources[file].count(old)) != 1:
            raise ValueError(f"mutant {mutant.name}: {file} holds {count} times, not once:\n{old}")
        sources[file] = sources[file].replace(old, new)
    package = "mutant_" + mutant.name.replace("-", "_")
    for file, source in sources.items():
        port = _module(package, file, re.sub(COPIED, f"{package}.", source), mutant.name)
    port.NAME, port.DTYPE = mutant.name, "float32"
    return port


def build_named(name: str) -> ModuleType:
    """The mutant of this name. Raises ValueError where there is none."""
    found = [mutant for mutant in table.MUTANTS if mutant.name == name]
    if not found:
        raise ValueError(f"there is no mutant {name}: python -m spec_tests.mutants lists them")
    return build(found[0])


def _module(package: str, file: str, source: str, mutant: str) -> ModuleType:
    """A module made from this source, named after the mutant; tracebacks show its lines."""
    module = ModuleType(f"{package}.{_name(file)}")
    module.__file__ = f"<{file} of mutant {mutant}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[module.__file__] = len(source), None, lines, module.__file__
    sys.modules[module.__name__] = module
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return module
