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
        Path, typer.Option("--out", help="Where to write: .npz or .safetensors.", metavar="FILE")
    ],
    checkpoint: options.CheckpointOption = None,
    block: Annotated[
        int | None,
        typer.Option(
            help="After which block, 1 for the first; 0 for what enters it. By default the last.",
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
    """Write what a block knows of a video to a file.

    That is the class token, and the patches by frame and place. The file holds `class_token` (views
    x width), `patches` (views x frames x rows x columns x width), `frames` (the frame numbers of
    each clip) and, of the last block, `class_feature`, the normed class token that the classifier
    sees.
    """
    from timesformer_ref.input.video import read_clip
    from timesformer_ref.use.features import (
        check_target,
        extract_features,
        numpy_hidden_states,
        save_features,
        torch_hidden_states,
    )

    with wrong_use():
        check_target(out_file)
    if out_file.resolve() in (video.resolve(), Path(checkpoint or default_model.FILE).resolve()):
        raise typer.BadParameter(f"--out {out_file} would replace what is read: name another file")
    options.count_crops(crops)
    loaded = options.read_checkpoint(checkpoint, given.heads)
    depth = loaded.config.num_hidden_layers
    if block is not None and block > depth:
        raise typer.BadParameter(f"--block {block}: the checkpoint has {depth} blocks")
    preprocessing = given.choose(loaded, crops)
    run = (
        torch_hidden_states(loaded, options.check_device(device))
        if backend == "torch"
        else numpy_hidden_states(loaded)
    )
    with wrong_use():
        clip = read_clip(video, preprocessing, num_clips=clips, pixels=given.pixels)
        found = extract_features(loaded, clip.video, depth if block is None else block, run)
    save_features(found, clip.frames, out_file)
    shapes = {name: a.shape for name, a in found._asdict().items() if a is not None}
    out.print(
        f"{out_file}: " + ", ".join(f"{n} {' x '.join(map(str, s))}" for n, s in shapes.items())
    )
