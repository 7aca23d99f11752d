"""Few videos to try training on, and how the recipes do on them.

python -m docs.making.small_recipe FOLDER    writes the videos: `train`, `val` and `test`
python -m docs.making.small_recipe           trains on them, and writes docs/data/small_recipe.json

The videos are real photographs under known camera motion: three classes of 16, of four photographs
each for `train`, `val` and `test`. What is trained is the model that comes with the package.
"""

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
PARTS = "train", "val", "test"
RECIPES, SEEDS = ("paper", "small"), (0, 1, 2)
SIDE, FRAMES = 64, 45
DATA = Path(__file__).parents[1] / "data" / "small_recipe.json"


def write_videos(folder: Path) -> None:
    """Write the videos, one folder per class below each of `PARTS`."""
    seconds = frame_seconds(Preprocessing(num_frames=FRAMES, sampling_rate=1))
    scenes = photograph_scenes(seconds, speeds=2)
    per_photograph = len(scenes) // len(PHOTOGRAPHS)
    for number, scene in enumerate(scenes):
        photograph, move = number // per_photograph, LABELS[scene.label]
        if name := CLASSES.get(move.split()[0]):
            speed = ("slow", "fast")[number % 2]
            target = folder / PARTS[photograph % len(PARTS)] / name
            target.mkdir(parents=True, exist_ok=True)
            title = f"{PHOTOGRAPHS[photograph]}-{move.replace(' ', '-')}-{speed}.mp4"
            write_video(target / title, render([scene], SIDE)[0])


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
    """The part of the videos of `val` and `test` that are rightly named after training."""
    command = [sys.executable, "-m", "timesformer_ref"]
    run = folder / f"{recipe}-{seed}"
    subprocess.run(
        [*command, "train", folder / "train", "-c", "camera-motion", "--recipe", recipe,
         "--out", run, "--seed", str(seed), "--workers", "0"],
        check=True,
    )  # fmt: skip
    found = []
    for part in PARTS[1:]:
        said = subprocess.run(
            [*command, "evaluate", folder / part, "-c", run / "last.safetensors", "--json",
             "--workers", "0"], check=True, capture_output=True, text=True,
        )  # fmt: skip
        found.append(json.loads(said.stdout)["top1"])
    return mean(found)


def compare() -> None:
    """Write the accuracy of each run of each recipe."""
    with tempfile.TemporaryDirectory() as folder:
        write_videos(Path(folder))
        found = {
            recipe: [round(top1(Path(folder), recipe, seed), 4) for seed in SEEDS]
            for recipe in RECIPES
        }
    DATA.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    write_videos(Path(sys.argv[1])) if sys.argv[1:] else compare()
