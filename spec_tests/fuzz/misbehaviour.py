"""What the limits must catch: readers that run code, write, hang, crash, or take memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

KINDS = {
    "os.system": lambda: os.system("true"),
    "open": lambda: Path(os.devnull).write_text("x"),
    "ValueError": lambda: int("x"),
    "exit code 7": lambda: os._exit(7),
    "MemoryError": lambda: bytearray(2**31),
    "said nothing": lambda: time.sleep(999),
    "": lambda: None,
}


def make(seed, folder):
    """Seed i is the i-th kind."""
    (folder / "x").write_bytes(b"x")
    return folder / "x", "" if seed is None else list(KINDS)[seed]


def use(path, expected):
    """Do what the file stands for."""
    KINDS[expected]()
    return "nothing"
