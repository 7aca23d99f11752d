"""Compare the recipes on few videos: python docs/making/small_recipe.py

The videos are real photographs under known camera motion, three classes of 24 to learn from; the
accuracy is that on other photographs. The model to start from is the one in the package.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import av
from einops import rearrange

from docs.camera_motion.clips import frame_seconds
from docs.camera_motion.moves import LABELS
from docs.camera_motion.render import render
from spec_tests.project.photographs import PHOTOGRAPHS, photograph_scenes
from timesformer_ref.input.preprocessing import Preprocessing

CLASSES = {"pan": "sideways", "tilt": "upright", "zoom": "deep"}
RECIPES, SEEDS = ("paper", "small"), (0, 1, 2)
SIDE, FRAMES = 64, 45


def write_videos(folder: Path) -> None:
    """Write the videos of half of the photographs to `train`, of the others to `test`."""
    seconds = frame_seconds(Preprocessing(num_frames=FRAMES, sampling_rate=1))
    scenes = photograph_scenes(seconds, speeds=2)
    per_photograph = len(scenes) // len(PHOTOGRAPHS)
    for number, scene in enumerate(scenes):
        if name := CLASSES.get(LABELS[scene.label].split()[0]):
            part = ("train", "test")[number // per_photograph % 2]
            target = folder / part / name / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_video(target, render([scene], SIDE)[0])


def write_video(target: Path, clip) -> None:
    """Write frames t c H W in [0, 1] as a video."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for picture in rearrange(clip.mul(255).byte().numpy(), "t c H W -> t H W c"):
            frame = av.VideoFrame.from_ndarray(picture.copy())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def top1(folder: Path, recipe: str, seed: int) -> float:
    """The part of the other photographs' videos that are rightly named after training."""
    command = [sys.executable, "-m", "timesformer_ref"]
    run = folder / f"{recipe}-{seed}"
    subprocess.run(
        [*command, "train", folder / "train", "-c", "camera-motion", "--recipe", recipe,
         "--out", run, "--seed", str(seed), "--workers", "0"],
        check=True,
    )  # fmt: skip
    said = subprocess.run(
        [*command, "evaluate", folder / "test", "-c", run / "last.safetensors", "--json",
         "--workers", "0"], check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(said.stdout)["top1"]


def main() -> None:
    """Print the mean accuracy of each recipe over the seeds, and that of each run."""
    with tempfile.TemporaryDirectory() as folder:
        write_videos(Path(folder))
        for recipe in RECIPES:
            found = [top1(Path(folder), recipe, seed) for seed in SEEDS]
            runs = ", ".join(f"{100 * part:.0f}" for part in found)
            print(f"{recipe}: {100 * mean(found):.0f} % ({runs})")


if __name__ == "__main__":
    main()
