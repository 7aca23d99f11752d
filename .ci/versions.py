"""Does it work with the oldest and the newest that it admits? python .ci/versions.py [END...]

Makes a fresh environment for each end, runs the README's first command and the whole suite in it,
and keeps what was tried. The ends:

oldest   the README's commands as they stand, on the oldest Python at hand
newest   the same on the newest Python, with all deprecations as errors
lowest   the lowest versions that pyproject.toml admits, on the oldest Python
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
ENDS = ("lowest", "oldest", "newest")
DEPRECATIONS = "".join(
    f" -W error::{kind}Warning" for kind in ("Deprecation", "PendingDeprecation", "Future")
)
VERSIONS = """
import importlib.metadata as m, json, platform, re
rows = [re.split(r"[^\\w.-]", line)[0] for line in m.requires("timesformer-ref")]
found = {name: m.version(name) for name in rows if any(m.distributions(name=name))}
found.pop("timesformer-ref", None)
print(json.dumps({"Python": platform.python_version()} | found))
"""


def readme_command(number: int) -> str:
    """A command of the README, counted from 1."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    return blocks[number - 1].strip()


def pythons() -> list[str]:
    """The Pythons at hand that the project admits, oldest first."""
    admitted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first = int(admitted.removeprefix(">=3."))
    others = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = []
    for minor in range(first, first + 10):
        named = [shutil.which(f"python3.{minor}"), *others.glob(f"3.{minor}.*/bin/python")]
        found += [str(python) for python in named if python and makes_environments(python)][:1]
    return found


def makes_environments(python: str | Path) -> bool:
    """Whether this is a Python, and whole."""
    return not subprocess.run(
        [python, "-c", "import venv, ensurepip"], capture_output=True
    ).returncode


def try_out(end: str, python: str) -> dict[str, Any]:
    """Run the README's commands in a new environment; what was installed, and how it went."""
    room = ROOT / "build" / f"versions-{end}"
    found = room.with_suffix(".xml")
    shutil.rmtree(room, ignore_errors=True)
    start = perf_counter()
    try:
        if end == "lowest":
            install_lowest(python, room)
        for number in (1, 2):
            command = readme_command(number).replace("python3 -m", f"{python} -m", 1)
            if end == "lowest":
                command = command.partition("\n")[2]  # the first line makes the environment
            if number == 2:
                command += f" --junitxml={found}" + DEPRECATIONS * (end == "newest")
            run(command.replace(".venv", str(room)))
        installed = subprocess.check_output([room / "bin" / "python", "-c", VERSIONS], text=True)
    finally:
        shutil.rmtree(room, ignore_errors=True)  # gigabytes, where PyTorch comes with CUDA
    minutes = (perf_counter() - start) / 60
    suite = ElementTree.parse(found).find("testsuite").attrib
    skipped, passed = int(suite["skipped"]), int(suite["tests"]) - int(suite["skipped"])
    tests = f"{passed} passed, {skipped} skipped"  # where one fails, `run` ends it all
    return {"tests": tests, "minutes": round(minutes, 1), "versions": json.loads(installed)}


def install_lowest(python: str, room: Path) -> None:
    """The lowest versions of what the project asks for; the newest of what these ask for."""
    uv, names = Path(sys.executable).with_name("uv"), room.with_suffix(".txt")
    extras = "--extra test --extra peers --extra pictures"
    lowest = f"{uv} pip compile -q --resolution lowest-direct pyproject.toml {extras}"
    run(f"{lowest} -p {python} -o {names}")
    run(f"{uv} venv -q -p {python} {room}")
    run(f"{uv} pip install -q -p {room}/bin/python -r {names} pip")
    run(f"{uv} pip install -q -p {room}/bin/python --no-deps -e .")


def run(command: str) -> None:
    """Run a command; its output goes where this one's does. Exits where it fails."""
    print(f"$ {command}", flush=True)
    if code := subprocess.run(["bash", "-euc", command], cwd=ROOT).returncode:
        sys.exit(f"exit code {code}: {command}")


def main() -> None:
    """Try the ends that are named, and keep what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ends", nargs="*", metavar="END", help=f"of {', '.join(ENDS)}; default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was found here")
    args = parser.parse_args()
    if unknown := set(args.ends) - set(ENDS):
        parser.error(f"unknown: {', '.join(unknown)}; use some of {', '.join(ENDS)}")
    oldest, *_, newest = [pythons()[0], *pythons()]
    if newest == oldest:
        print(f"only one Python is at hand, {oldest}: it stands for the newest too")
    for end in args.ends or ENDS:
        found = try_out(end, newest if end == "newest" else oldest)
        print(f"{end}: {found}", flush=True)
        if args.json:
            known = json.loads(args.json.read_text()) if args.json.exists() else {}
            known[end] = found
            args.json.write_text(
                json.dumps({e: known[e] for e in ENDS if e in known}, indent=1) + "\n"
            )


if __name__ == "__main__":
    main()
