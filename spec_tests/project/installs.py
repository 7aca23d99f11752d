"""What each installation of the wheel allows, without a checkout, in an environment of its own.

python -m spec_tests.project.installs --json docs/data/installs.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "assets" / "example.mp4"
UV = Path(sys.executable).with_name("uv")
EXTRAS = ("", "train", "test")

TASKS = {
    "classify": "classify example.mp4 --backend both",
    "classify --timeline --picture": "classify example.mp4 --timeline --picture timeline.png",
    "attend": "attend example.mp4 --out attention.png",
    "features": "features example.mp4 --out features.npz",
    "inspect": "inspect camera-motion",
    "convert": "convert camera-motion small.pyth",
    "export to .pt2": "export --out small.pt2",
    "export to .onnx": "export --out small.onnx",
    "evaluate": "evaluate videos -c small.safetensors",
    "train": "train videos -c camera-motion --out run --steps 1 --batch 2 --workers 0",
    "conform": "conform spec_tests.ports.numpy_port",
    "vectors": "vectors vectors --small",
    "bench": "bench --frames 1 --size 32 --repeats 1 --fastest",
}
"""Commands by what they show, run one after another in a folder with a video."""


def build(source: Path, target: Path) -> None:
    """Write wheel and sdist of a checkout to a folder."""
    subprocess.run([UV, "build", "-q", "--out-dir", target, source], check=True)


def install(wheel: Path, extra: str, room: Path) -> Path:
    """A new environment that holds the wheel, an extra, and what these ask for; its `bin`."""
    what = f"timesformer-ref{f'[{extra}]' if extra else ''} @ {wheel.resolve().as_uri()}"
    links = os.environ.get("PIP_FIND_LINKS")
    subprocess.run([UV, "venv", "-q", "-p", sys.executable, room], check=True)
    command = [UV, "pip", "install", "-q", "-p", room / "bin" / "python", what]
    subprocess.run([*command, *(["--find-links", links] if links else [])], check=True)
    return room / "bin"


def answers(bin_folder: Path, place: Path) -> dict[str, str]:
    """For every task `yes`, or the extra that its error names. Any other failure is raised."""
    for copy in ("example.mp4", "videos/static/1.mp4", "videos/tilt up/1.mp4"):
        (place / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLE, place / copy)
    found = {}
    for task, words in {"": "convert camera-motion small.safetensors", **TASKS}.items():
        done = command(bin_folder, words, place)
        lacking = re.search(r"pip install 'timesformer-ref\[(\w+)\]'", done.stderr)
        if done.returncode and not lacking:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        found[task] = lacking[1] if done.returncode else "yes"
    del found[""]
    return found


def command(bin_folder: Path, words: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command, far from the checkout."""
    own = {"PATH": os.environ["PATH"], "HOME": str(place), "OMP_NUM_THREADS": "1"}
    line = [bin_folder / "timesformer-ref", *words.split()]
    return subprocess.run(line, cwd=place, env=own, capture_output=True, text=True, check=False)


def main() -> None:
    """Try all installations and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    target = parser.parse_args().json
    found = {}
    with TemporaryDirectory() as folder:
        room = Path(folder)
        build(ROOT, room / "dist")
        (wheel,) = (room / "dist").glob("*.whl")
        for extra in EXTRAS:
            place = room / f"place-{extra}"
            found[extra] = answers(install(wheel, extra, room / f"env-{extra}"), place)
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
