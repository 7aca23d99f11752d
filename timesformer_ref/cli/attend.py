"""`timesformer-ref attend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from timesformer_ref.cli import options
from timesformer_ref.cli.answers import show_prediction
from timesformer_ref.cli.console import bars, err, out, printable, progress_bar, wrong_use

TOP_CLASSES, TOP_FRAMES = 3, 16
"""How many are told, at most."""


@options.takes_input
def attend(
    video: Annotated[Path, typer.Argument(help="A video file.", metavar="VIDEO")],
    out_file: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Where to draw: .png for all frames at once, .gif for one after another.",
            metavar="FILE",
        ),
    ],
    checkpoint: options.CheckpointOption = None,
    backend: Annotated[
        options.Implementation, typer.Option(help="Which implementation computes.")
    ] = "torch",
    labels: options.LabelsOption = None,
    device: options.DeviceOption = "cpu",
    *,
    given: options.VideoInput,
) -> None:
    """Draw what the class token looks at in a video.

    That is its attention in one clip and central crop, followed through all steps of all blocks
    (attention rollout) and laid over the frames; below, what each frame has of it, and which frame
    looks at which.
    """
    import numpy as np
    from scipy.special import softmax

    from timesformer_ref.checkpoints.labels import read_labels
    from timesformer_ref.input.video import read_clip
    from timesformer_ref.use.attend import (
        attend,
        check_target,
        numpy_attentions,
        read_shown_frames,
        torch_attentions,
    )
    from timesformer_ref.use.classify import Prediction

    with wrong_use():
        check_target(out_file)
    if out_file.resolve() == video.resolve():
        raise typer.BadParameter(f"--out {out_file} would replace what is read: name another file")
    try:
        from timesformer_ref.use.attention_pictures import draw_attention
    except ModuleNotFoundError:
        err.print("error: matplotlib draws and is missing: pip install 'timesformer-ref[pictures]'")
        raise typer.Exit(1) from None
    loaded = options.read_checkpoint(checkpoint, given.heads)
    preprocessing = given.choose(loaded)
    names = read_labels(labels, loaded.config.num_labels) if labels else loaded.labels
    run = (
        torch_attentions(loaded, options.check_device(device))
        if backend == "torch"
        else numpy_attentions(loaded)
    )
    with wrong_use(), progress_bar() as progress:
        progress.add_task(escape(video.name), total=None)
        clip = read_clip(video, preprocessing, num_crops=1, pixels=given.pixels)
        look = attend(loaded.config, clip.video[0], run)
        shown = read_shown_frames(video, preprocessing, loaded.config.patch_size, given.pixels)
    probabilities = softmax(look.logits)
    answer = Prediction(str(video), clip.frames, 1, backend, look.logits, probabilities)
    best = answer.top(1)[0]
    title = f"{names[best] if names else f'class {best}'}, {100 * probabilities[best]:.1f} %"
    draw_attention(look, shown, clip.frames[0], printable(title), out_file)
    show_prediction(answer, names, TOP_CLASSES)
    most = sorted(np.argsort(-look.frame_shares, kind="stable")[:TOP_FRAMES])
    out.print("attention by frame:" if len(most) == len(shown) else "frames with most attention:")
    out.print(bars((look.frame_shares[i], f"frame {clip.frames[0][i]}") for i in most))
    out.print(f"{out_file}: drawn")
