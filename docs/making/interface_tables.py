"""The interface in tables: the fields of the config, a request, and what rests on what."""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from docs.making.tables import table
from spec_tests.harness.cases import Case
from spec_tests.harness.errors import Breakdown
from spec_tests.harness.porting import find_port
from spec_tests.harness.report.resting import PARTS, RESTS_ON
from timesformer_ref.config import TimeSformerConfig

SKELETON = Path(__file__).parents[1] / "examples" / "port" / "skeleton.py"
JSON_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def write_interface(folder: Path) -> None:
    """Write `config-fields.md`, `request.json` and `resting.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "config-fields.md": config_fields(),
        "request.json": request(),
        "resting.md": resting(),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")


def resting() -> str:
    """What has to hold before a requirement is judged; lines that are alike are one."""
    rows: dict[str, list[str]] = {}
    for name, basis in RESTS_ON.items():
        words = ", ".join(basis).replace(", ".join(PARTS), f"every part of it ({', '.join(PARTS)})")
        rows.setdefault(words, []).append(name)
    return table(["", "depends on"], [[", ".join(names), words] for words, names in rows.items()])


def config_fields() -> str:
    """Name, type and default of each field, and what the docstring says of it."""
    rows = []
    for field in fields(TimeSformerConfig):
        default = json.dumps(field.default)
        meaning = meanings()[field.name]
        rows.append([f"`{field.name}`", JSON_TYPES[field.type], f"`{default}`", meaning])
    return table(["field", "type", "default", "meaning"], rows)


def meanings() -> dict[str, str]:
    """The lines `name: …`, or `name, name: …`, of the config's docstring."""
    text = inspect.cleandoc(str(TimeSformerConfig.__doc__))
    found = re.findall(r"^([a-z_]+(?:, [a-z_]+)*): (.*(?:\n    .*)*)", text, re.MULTILINE)
    return {name: " ".join(told.split()) for names, told in found for name in names.split(", ")}


def request() -> str:
    """The header of a request for an attention step, as the suite sends it."""
    port = find_port(f"cmd:{sys.executable} {SKELETON}")
    sent: list[str] = []

    def look(line: str) -> str:
        content = Path(line.split("\t")[1]).read_bytes()
        sent.append(content[8 : 8 + int.from_bytes(content[:8], "little")].decode())
        raise Breakdown("it was only looked at")

    port.functions._program.exchange = look
    case = Case(TimeSformerConfig(), (1, 2, 3, 32, 48))
    try:
        tokens = np.float32(case.tokens)
        port.functions.attention_step(tokens, {}, case.config, 0, case.grid, "temporal")
    except Breakdown:
        text = json.dumps(json.loads(sent[0]), indent=2, sort_keys=True)
        return re.sub(r"\[[^][\"]*\]", lambda numbers: "".join(numbers[0].split()), text) + "\n"
    finally:
        port.close()
    raise AssertionError("the request was not sent")
