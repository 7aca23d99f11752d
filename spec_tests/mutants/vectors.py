"""How many mutants fail the vectors? python -m spec_tests.mutants.vectors [--json FILE]"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console

from spec_tests.harness.errors import NotOffered, Refusal
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.judging import parts
from spec_tests.harness.porting import Port, find_port
from spec_tests.harness.vectors import write_recorded
from spec_tests.harness.vectors.reading import failures
from spec_tests.harness.vectors.recording import record, silent
from spec_tests.harness.vectors.writing import NAMES
from spec_tests.mutants.table import MUTANTS
from timesformer_ref.config import TimeSformerConfig


def caller(port: Port) -> Callable[..., Any]:
    """A port as the reader of vectors calls it. A port that changes its arguments gives NaN."""

    def call(case: dict[str, Any], tensors: dict[str, Any], weights: dict[str, Any]) -> Any:
        function = case["function"]
        given = {n: _typed(x, port.dtype) for n, x in tensors.items() if n in ("input", "labels")}
        values = case | given | {"weights": {n: _typed(w, port.dtype) for n, w in weights.items()}}
        if "config" in case:
            values["config"] = TimeSformerConfig(**case["config"])
        if "grid" in case:
            values["grid"] = tuple(case["grid"])
        names = [name if name in values else "input" for name in FUNCTIONS[function]]
        before = {n: x.copy() for n, x in (given | values["weights"]).items()}
        try:
            answer = parts(port.call(function, *(values[name] for name in names)))
        except (NotOffered, Refusal):
            return None
        after = given | values["weights"]
        if not all(np.array_equal(after[n], x) for n, x in before.items()):
            answer = {n: np.full_like(x, np.nan, np.float64) for n, x in answer.items()}
        return {NAMES.get(n, n): x for n, x in answer.items()}

    return call


def _typed(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(dtype) if x.dtype.kind == "f" else x


def is_caught(folder: Path, mutant: str) -> bool:
    """Whether a mutant fails a case."""
    call = caller(find_port(f"mutant:{mutant}"))
    with np.errstate(all="ignore"):  # some mutants overflow
        return next(failures(folder, call), None) is not None


def main() -> None:
    """Write both sets of vectors, and report how many mutants fail each."""
    parser = argparse.ArgumentParser(
        prog="python -m spec_tests.mutants.vectors", description=__doc__
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    args = parser.parse_args()
    console, found = Console(soft_wrap=True), {}
    names = [mutant.name for mutant in MUTANTS]
    os.environ["OMP_NUM_THREADS"] = "1"
    recorded = record(silent)
    for title in ("full", "small"):
        with TemporaryDirectory() as room:
            folder = Path(room)
            cases = write_recorded(recorded, folder, title == "small", silent)
            with get_context("fork").Pool(maxtasksperchild=1) as pool:
                caught = pool.map(partial(is_caught, folder), names, chunksize=1)
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        escaped = [name for name, is_wrong in zip(names, caught, strict=True) if not is_wrong]
        found[title] = {"cases": cases, "files": len(sizes), "bytes": sum(sizes)}
        found[title] |= {"mutants": len(names), "escaped": escaped}
        console.print(f"{title}: {sum(caught)} of {len(names)} mutants fail; not {escaped}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
