"""Who conforms? python -m spec_tests.matrix [PORT...] [--json FILE]

Runs the suite on every port in `ports/`, and writes their reports to one file, from which a page of
the site is made. A port that cannot run on this machine keeps the report of its last run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.pool import ThreadPool
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

from rich.console import Console

from spec_tests.conftest import OURS
from spec_tests.harness.report.words import in_numbers

HERE = Path(__file__).parent
C_PORT = HERE / "ports" / "c_port"
JAVASCRIPT_PORT = HERE / "ports" / "javascript_port"
VARIANTS = "spec_tests.ports.variants"


class Entry(NamedTuple):
    """A port of the matrix. `place`: the argument of `--port`. `needs`: what it takes to run it."""

    title: str
    place: str
    needs: str = ""


PORTS: dict[str, Entry] = {
    "numpy": Entry("NumPy", "spec_tests.ports.numpy_port"),
    "numpy-float64": Entry("NumPy, float64", f"{VARIANTS}:numpy_float64"),
    "torch": Entry("PyTorch", "spec_tests.ports.torch_port"),
    "torch-float64": Entry("PyTorch, float64", f"{VARIANTS}:torch_float64"),
    "torch-bfloat16": Entry("PyTorch, bfloat16", f"{VARIANTS}:torch_bfloat16"),
    "torch-float16": Entry("PyTorch, float16", f"{VARIANTS}:torch_float16"),
    "torch-compiled": Entry("PyTorch, compiled", f"{VARIANTS}:torch_compiled"),
    "torch-folded": Entry("PyTorch, folded", f"{VARIANTS}:torch_folded"),
    "torch-folded-compiled": Entry(
        "PyTorch, folded, compiled", f"{VARIANTS}:torch_folded_compiled"
    ),
    "torch-packed": Entry("PyTorch, packed", f"{VARIANTS}:torch_packed"),
    "torch-packed-bfloat16": Entry(
        "PyTorch, packed, bfloat16", f"{VARIANTS}:torch_packed_bfloat16"
    ),
    "jax": Entry("JAX", "spec_tests.ports.jax_port", "module jax"),
    "c": Entry("C11", f"cmd:{C_PORT / 'timesformer_port'}", "program make"),
    "javascript": Entry("JavaScript", f"cmd:node {JAVASCRIPT_PORT / 'main.js'}", "program node"),
    "original": Entry(
        "the original", "spec_tests.ports.original_port", "variable TIMESFORMER_ORIGINAL"
    ),
    "mmaction2": Entry("mmaction2", "spec_tests.ports.mmaction2_port", "module mmaction"),
    "transformers": Entry(
        "transformers", "spec_tests.ports.transformers_port", "module transformers"
    ),
}


def is_there(need: str) -> bool:
    """Whether this machine has what a port needs. Builds the C port."""
    kind, _, name = need.partition(" ")
    if kind == "module":
        return find_spec(name) is not None
    if kind == "variable":
        return name in os.environ
    if kind == "program" and which(name) is None:
        return False
    return name != "make" or subprocess.run([name, "--silent", "-C", C_PORT]).returncode == 0


def judge(entry: Entry, *options: str) -> dict[str, Any]:
    """The suite's report on a port, and the processor's seconds; options: of pytest, besides."""
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder, "report.json"), Path(folder, "log")
        command = [sys.executable, "-m", "pytest", str(HERE), "-q", "-p", "no:cacheprovider"]
        command += options
        command += ["--port", entry.place, "--report", str(path)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
            _, process.returncode, used = os.wait4(process.pid, 0)
        said = log.read_text("utf-8", "replace")
        if not path.exists():
            raise RuntimeError(f"{entry.title}: no report\n{said[-4000:]}")
        report = json.loads(path.read_text("utf-8"))
    report["defects"] = defects(entry)
    seconds = round(used.ru_utime + used.ru_stime)
    closing = said.strip().splitlines()[-1].strip("= ")
    return report | {"title": entry.title, "seconds": seconds, "closing": closing}


def defects(entry: Entry) -> dict[str, str]:
    """The known mistakes of the library that a port wraps, by requirement."""
    is_module = not entry.place.startswith("cmd:")
    return getattr(import_module(entry.place.partition(":")[0]), "DEFECTS", {}) if is_module else {}


def main() -> int:
    """Judge the ports that are named. Returns 1 if one fails anything but its known defects."""
    parser = argparse.ArgumentParser(prog="python -m spec_tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PORT", help=f"some of {', '.join(PORTS)}")
    parser.add_argument(
        "--others",
        action="store_true",
        help="those that the suite does not judge by default, and nothing at full size",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports to this file")
    args = parser.parse_args()
    if unknown := set(args.names) - PORTS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; use some of {', '.join(PORTS)}")
    known = json.loads(args.json.read_text("utf-8")) if args.json and args.json.exists() else {}
    console, wrong = Console(soft_wrap=True), []
    there = []
    others = [name for name, entry in PORTS.items() if entry.place not in OURS]
    for name in args.names or (others if args.others else PORTS):
        if is_there(PORTS[name].needs):
            there.append(name)
        else:
            console.print(f"{PORTS[name].title:20} left out: it needs the {PORTS[name].needs}")
    options = ["--ignore", str(HERE / "test_published_sizes.py")] if args.others else []
    judged = ThreadPool(os.cpu_count()).imap(lambda name: judge(PORTS[name], *options), there)
    for name, report in zip(there, judged, strict=True):
        entry = PORTS[name]
        known[name] = report
        console.print(f"{entry.title:20} {in_numbers(report)} ({report['seconds']} s)")
        failed = {r["id"] for r in known[name]["requirements"] if r["status"] == "failed"}
        if failed != known[name]["defects"].keys():
            wrong.append(name)
            unlike = ", ".join(sorted(failed ^ known[name]["defects"].keys()))
            console.print(f"  differs from its known defects in: {unlike}")
        if args.json:
            kept = {port: known[port] for port in PORTS if port in known}
            args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
