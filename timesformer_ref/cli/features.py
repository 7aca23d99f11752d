"""`timesformer-ref features`."""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from timesformer_ref import default_model
from timesformer_ref.cli import many, options
from timesformer_ref.cli.console import out, wrong_use
from timesformer_ref.cli.options import value
from timesformer_ref.endings import FEATURES


@options.takes_input
def features(
    out_file: Annotated[
        Path,
        options.file(
            "The file to write for one video: .npz or .safetensors; or a folder, for any number of "
            "them, of .npz files and an index.jsonl. With an existing one the run continues.",
            "--out",
            metavar="FILE|FOLDER",
        ),
    ],
    videos: Annotated[
        list[Path] | None,
        Argument(help="Video files, or folders of them.", metavar="VIDEO"),
    ] = None,
    listed: many.ListOption = None,
    retry: many.RetryOption = False,
    checkpoint: options.CheckpointOption = None,
    block: Annotated[
        int | None,
        value("The block: 1 is the first, 0 the embeddings; by default the last.", "N", min=0),
    ] = None,
    backend: options.ImplementationOption = "torch",
    clips: options.ClipsOption = 1,
    crops: Annotated[str, value("Crops of each clip: 3, or 1 for the centre.", "1|3")] = "1",
    device: options.DeviceOption = "cpu",
    *,
    given: options.Input,
) -> None:
    """Write the features of videos to files: the tokens after a block.

    A file holds `class_token` (views x width), `patches` (views x frames x rows x columns x width),
    `frames` (the frame numbers of each clip) and, for the last block, `class_feature`: the class
    token after the last norm, which the classifier takes.
    """
    files = many.find_files(videos or [], listed)
    to_folder = not out_file.suffix
    if not to_folder:
        options.check_target(out_file, FEATURES)
        if len(files) > 1 or retry or many.launched():
            raise typer.BadParameter(f"--out {out_file}: name a folder, for results of many videos")
    options.check_replaced(out_file, [*files, Path(checkpoint or default_model.FILE)])
    given.asked(crops)
    from timesformer_ref.input.video import read_clip
    from timesformer_ref.use.classify import Progress
    from timesformer_ref.use.features import extract_features, save_features
    from timesformer_ref.use.implementations import implementation
    from timesformer_ref.use.results import fingerprint

    loaded, preprocessing = given.read(checkpoint, crops=crops)
    depth = loaded.config.num_hidden_layers
    if block is not None and block > depth:
        raise typer.BadParameter(f"--block {block}: the checkpoint has {depth} blocks")
    block = depth if block is None else block
    run = implementation(backend, loaded, many.own_device(device), output_hidden_states=True)

    def extract(file: Path, target: Path) -> dict[str, Any]:
        clip = read_clip(file, preprocessing, num_clips=clips)
        found = extract_features(loaded, clip.video, block, run)
        save_features(found, clip.frames, target)
        return {name: a.shape for name, a in found._asdict().items() if a is not None}

    if not to_folder:
        with wrong_use():
            shapes = extract(files[0], out_file)
        shown = (f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())
        out.print(f"{out_file}: {', '.join(shown)}")
        return

    def extract_one_of_many(file: Path, progress: Progress) -> dict[str, Any]:
        name = f"{file.stem[:40]}-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}.npz"
        return {"video": str(file), "file": name, **extract(file, out_file / name)}

    settings = {
        "checkpoint": fingerprint(loaded), "input": asdict(preprocessing),
        "how": [backend, clips, block],
    }  # fmt: skip
    with many.results_in(out_file / "index.jsonl", settings, files, retry) as (results, left):
        many.work_through(left, extract_one_of_many, lambda found: results.add(**found), results)
