"""The C port's code, a fragment for each function and table, with the comment above it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORT = "spec_tests/ports/c_port"
COMMENT = r"(?:/\*(?:[^*]|\*(?!/))*\*/\n)?"
FUNCTION = re.compile(rf"^{COMMENT}\w[^;{{}}\n]*?\b(\w+)\([^;{{}}]*\) \{{\n.*?^\}}\n", re.M | re.S)
TABLE = re.compile(rf"^{COMMENT}static const [^=]*?\b(\w+)\[\] = \{{\n.*?^\}};\n", re.M | re.S)


def write_c_code(folder: Path) -> None:
    """Write `FILE/NAME.c` for every function and table of the port's files."""
    for file in sorted((ROOT / PORT).glob("*.c")):
        source = file.read_text("utf-8")
        place = folder / PORT / file.stem
        place.mkdir(parents=True, exist_ok=True)
        for definition in (*FUNCTION.finditer(source), *TABLE.finditer(source)):
            (place / f"{definition[1]}.c").write_text(definition.group(), encoding="utf-8")
