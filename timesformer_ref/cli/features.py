"""`timesformer-ref features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timesformer_ref import default_model
from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, wrong_use


@options.takes_input
def features(
    video: Annotated[Path, typer.Argument(help="A video file.", metavar="VIDEO")],
    out_file: Annotated[
        Path, typer.Option("--out", help="The file to write: .npz or .safetensors.", metavar="FILE")
    ],
    checkpoint: options.CheckpointOption = None,
    block: Annotated[
        int | None,
        typer.Option(
            help="The block, 1 for the first; 0 for the embeddings. By default the last.",
            min=0,
            metavar="N",
        ),
    ] = None,
    backend: Annotated[
        options.Implementation, typer.Option(help="Which implementation computes.")
    ] = "torch",
    clips: options.ClipsOption = 1,
    crops: Annotated[
        str, typer.Option(help="Crops of each clip: 3, or 1 for the centre.", metavar="1|3")
    ] = "1",
    device: options.DeviceOption = "cpu",
    *,
    given: options.VideoInput,
) -> None:
    """Write the features of a video to a file: the tokens after a block.

    The file holds `class_token` (views
    x width), `patches` (views x frames x rows x columns x width), `frames` (the frame numbers of
    each clip) and, of the last block, `class_feature`, the normed class token that the classifier
    takes.
    """
    from timesformer_ref.input.video import read_clip
    from timesformer_ref.use.features import (
        ENDINGS,
        extract_features,
        save_features,
    )
    from timesformer_ref.use.implementations import numpy_implementation, torch_implementation
    from timesformer_ref.use.target import check_target

    with wrong_use():
        check_target(out_file, ENDINGS)
    if out_file.resolve() in (video.resolve(), Path(checkpoint or default_model.FILE).resolve()):
        raise typer.BadParameter(f"--out {out_file} would replace what is read: name another file")
    options.count_crops(crops)
    loaded = options.read_checkpoint(checkpoint, given.heads)
    depth = loaded.config.num_hidden_layers
    if block is not None and block > depth:
        raise typer.BadParameter(f"--block {block}: the checkpoint has {depth} blocks")
    preprocessing = given.choose(loaded, crops)
    run = (
        torch_implementation(loaded, options.check_device(device), output_hidden_states=True)
        if backend == "torch"
        else numpy_implementation(loaded, output_hidden_states=True)
    )
    with wrong_use():
        clip = read_clip(video, preprocessing, num_clips=clips)
        found = extract_features(loaded, clip.video, depth if block is None else block, run)
    save_features(found, clip.frames, out_file)
    shapes = {name: a.shape for name, a in found._asdict().items() if a is not None}
    out.print(
        f"{out_file}: " + ", ".join(f"{n} {' x '.join(map(str, s))}" for n, s in shapes.items())
    )
