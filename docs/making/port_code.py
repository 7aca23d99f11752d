"""The code of ports in other languages, a fragment for each function and table, with the comment
above it.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORTS = ROOT / "spec_tests" / "ports"
COMMENT = r"(?:/\*(?:[^*]|\*(?!/))*\*/\n)?"
DEFINITIONS = {
    "c_port/*.c": (
        rf"^{COMMENT}\w[^;{{}}\n]*?\b(\w+)\([^;{{}}]*\) \{{\n.*?^\}}\n",
        rf"^{COMMENT}static const [^=]*?\b(\w+)\[\] = \{{\n.*?^\}};\n",
    ),
    "javascript_port/*.js": (
        rf"^{COMMENT}(?:export )?(?:async )?function\*? (\w+)\(.*?^\}}\n",
        rf"^{COMMENT}(?:export )?const (\w+) = \{{\n.*?^\}};\n",
    ),
}
"""What a function and a table look like, and where their names are, in the files of each port."""


def write_port_code(folder: Path) -> None:
    """Write `FILE/NAME.c`, or `.js`, for every function and table of the ports' files."""
    for files, patterns in DEFINITIONS.items():
        for file in sorted(PORTS.glob(files)):
            place = folder / file.relative_to(ROOT).with_suffix("")
            place.mkdir(parents=True, exist_ok=True)
            for pattern in patterns:
                for definition in re.finditer(pattern, file.read_text("utf-8"), re.M | re.S):
                    text = definition.group()
                    (place / f"{definition[1]}{file.suffix}").write_text(text, encoding="utf-8")
