"""python -m spec_tests.fuzz checkpoints --files 20000: read made files; what became of them.

Every file must become a loaded model or a clear refusal, in 10 s and 1 GB beyond its size; no code
in it may run, and nothing be touched. The exit code is 1 if one did not. `--seed N --files 1 --keep
FOLDER` makes the file of a failure again.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from pathlib import Path

from spec_tests.fuzz.limits import fuzz

KINDS = ("checkpoints", "videos", "misbehaviour")


def main():
    parser = argparse.ArgumentParser(prog="python -m spec_tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first file; the rest follow")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="only make the first file, in this folder")
    parser.add_argument("--json", type=Path, help="add the result to this file")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True)
        print(*import_module(f"spec_tests.fuzz.{asked.kind}").make(asked.seed, asked.keep))
        return
    result = fuzz(asked.kind, range(asked.seed, asked.seed + asked.files), asked.jobs)
    for outcome, files in result["outcomes"].items():
        print(f"{files:7} {outcome}")
    for seed, failure in result["failures"].items():
        print(f"seed {seed}: {failure}")
    print(f"{result['files']} files, {len(result['failures'])} failures, "
          f"the slowest took {result['slowest'][0]} s (seed {result['slowest'][1]})")  # fmt: skip
    if asked.json:
        known = json.loads(asked.json.read_text()) if asked.json.exists() else {}
        asked.json.write_text(json.dumps(known | {asked.kind: result}, indent=1) + "\n")
    raise SystemExit(bool(result["failures"]))


if __name__ == "__main__":
    main()
