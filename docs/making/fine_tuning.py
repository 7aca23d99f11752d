"""The commands of "Fine-tune in ten minutes" as they ran: python -m docs.making.fine_tuning

Makes the videos in a folder of its own, runs the commands one after another, and keeps what each
printed in `docs/data/fine_tuning/` and the pictures in `docs/assets/`.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import av
import numpy as np
from PIL import Image

from docs.making.small_recipe import CLASSES, write_videos
from timesformer_ref import TimeSformerConfig
from timesformer_ref.benchmark.cost import multiply_adds
from timesformer_ref.training.memory import step_memory
from timesformer_ref.training.recipe import RECIPES

DOCS = Path(__file__).parents[1]
DATA, ASSETS = DOCS / "data" / "fine_tuning", DOCS / "assets"
COMMANDS = {
    "train": "train photos/train --checkpoint camera-motion --recipe small --validation photos/val "
    "--out trained",
    "evaluate": "evaluate photos/test --checkpoint trained/best.safetensors --out results",
    "classify": "classify photos/test/deep/rocket-zoom-in-fast.mp4 "
    "--checkpoint trained/best.safetensors",
}
"""By the file that keeps what it printed: the arguments of `timesformer-ref`."""
SHOWN = 6
"""Frames of a video in the picture of the classes."""


def main() -> None:
    """Run the commands, and keep what they print and draw."""
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_videos(Path(folder, "photos"))
        (DATA / "videos.txt").write_text(listed(Path(folder, "photos")), encoding="utf-8")
        draw_classes(Path(folder, "photos", "train"), ASSETS / "fine-tuning-classes.jpg")
        for name, words in COMMANDS.items():
            done = subprocess.run(
                [sys.executable, "-m", "timesformer_ref", *shlex.split(words)],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
                env=os.environ | {"COLUMNS": "88", "NO_COLOR": "1"},
            )  # fmt: skip
            lines = [line.rstrip() for line in done.stdout.splitlines()]
            (DATA / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        shutil.copy(Path(folder, "trained", "losses.png"), ASSETS / "fine-tuning-losses.png")
        shutil.copy(Path(folder, "results", "confusion.png"), ASSETS / "fine-tuning-confusion.png")


def write_fine_tuning(folder: Path) -> None:
    """Write the fragments of the page: what was printed, and what is computed for one card."""
    shutil.copytree(DATA, folder, dirs_exist_ok=True)
    (folder / "card.md").write_text(card(), encoding="utf-8")
    found = json.loads((DOCS / "data" / "small_recipe.json").read_text(encoding="utf-8"))
    (folder / "recipes.md").write_text(measured(found), encoding="utf-8")


def card() -> str:
    """Memory and time of a step of the published model in 16 bits, as a table."""
    config = TimeSformerConfig()
    forward = 2 * sum(multiply_adds(config).values())
    rows = ["| | clips at once | memory | operations per step | at 71·10¹² per second (RTX 3090) |"]
    rows += ["| --- | --- | --- | --- | --- |"]
    for name, at_once in (("small", 16), ("paper", 16)):
        recipe = RECIPES[name]
        memory = sum(step_memory(config, recipe, at_once, half=True, recompute=False).values())
        learning = (recipe.last_blocks or config.num_hidden_layers) / config.num_hidden_layers
        step = forward * (1 + 2 * learning) * recipe.batch_size
        rows.append(
            f"| `{name}`, {recipe.batch_size} clips per step | {at_once} | {memory / 1e9:.1f} GB "
            f"| {step / 1e12:.1f}·10¹² | {step / 71e12:.2f} s |"
        )
    return "\n".join(rows) + "\n"


def measured(found: Mapping[str, Sequence[float]]) -> str:
    """A sentence on each recipe's accuracy, and that of each of its runs."""
    said = []
    for name, parts in found.items():
        runs = ", ".join(f"{100 * part:.0f}" for part in parts)
        said.append(f"`{name}` predicts {100 * mean(parts):.0f} % of them correctly ({runs})")
    where = "On the 96 videos of `photos/val` and `photos/test`, with three seeds each"
    return f"{where}: {', '.join(said)}.\n"


def listed(photos: Path) -> str:
    """A line for each folder of videos."""
    lines = []
    for folder in sorted(photos.glob("*/*")):
        videos = sorted(video.name for video in folder.iterdir())
        where = folder.relative_to(photos.parent)
        lines.append(f"{where!s:22} {len(videos)} videos, such as {videos[0]}\n")
    return "".join(lines)


def draw_classes(videos: Path, target: Path) -> None:
    """A row of frames of one video of each class, twice as large, for screens with small pixels."""
    rows = []
    for name in CLASSES.values():
        with av.open(str(sorted((videos / name).glob("*.mp4"))[0])) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        rows.append(
            np.hstack([frames[i] for i in np.linspace(0, len(frames) - 1, SHOWN).astype(int)])
        )
    picture = Image.fromarray(np.vstack(rows))
    picture.resize((2 * picture.width, 2 * picture.height)).save(target, quality=85)


if __name__ == "__main__":
    main()
