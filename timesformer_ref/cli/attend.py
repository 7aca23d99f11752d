"""`timesformer-ref attend`."""

from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument

from timesformer_ref.cli import options
from timesformer_ref.cli.answers import show_prediction
from timesformer_ref.cli.console import bars, out, printable, progress_bar, require, wrong_use
from timesformer_ref.endings import ATTENTION

TOP_CLASSES, TOP_FRAMES = 3, 16
"""Most classes and frames that are printed."""


@options.takes_input
def attend(
    video: Annotated[Path, Argument(help="A video file.", metavar="VIDEO")],
    out_file: Annotated[
        Path,
        options.file("The picture: .png for all frames at once, .gif for one by one.", "--out"),
    ],
    checkpoint: options.CheckpointOption = None,
    backend: options.ImplementationOption = "torch",
    labels: options.LabelsOption = None,
    device: options.DeviceOption = "cpu",
    *,
    given: options.Input,
) -> None:
    """Draw which parts of a video the class token attends to.

    The picture shows its attention in one clip and central crop, followed through all steps of all
    blocks (attention rollout), as a heat map over each frame; below, each frame's share, and how
    much frames attend to each other.
    """
    options.check_replaced(out_file, [video])
    options.check_target(out_file, ATTENTION)
    require("pictures", "matplotlib")
    given.asked()
    import numpy as np

    from timesformer_ref.input.video import read_clip
    from timesformer_ref.numpy_blocks.layers import softmax
    from timesformer_ref.use.attend import attend, read_shown_frames
    from timesformer_ref.use.attention_pictures import draw_attention
    from timesformer_ref.use.classify import Prediction
    from timesformer_ref.use.implementations import implementation

    loaded, preprocessing = given.read(checkpoint, labels)
    names, device = loaded.labels, options.check_device(device)
    run = implementation(backend, loaded, device, output_attentions=True)
    with wrong_use(), progress_bar() as progress:
        progress.add_task(escape(video.name), total=None)
        clip = read_clip(video, preprocessing, num_crops=1)
        found = attend(loaded.config, clip.video[0], run)
        shown = read_shown_frames(video, preprocessing, loaded.config.patch_size)
    probabilities = softmax(found.logits)
    answer = Prediction(str(video), clip.frames, 1, backend, found.logits, probabilities)
    best = answer.top(1)[0]
    title = f"{names[best] if names else f'class {best}'}, {100 * probabilities[best]:.1f} %"
    draw_attention(found, shown, clip.frames[0], printable(title), out_file)
    show_prediction(answer, names, TOP_CLASSES)
    most = sorted(np.argsort(-found.frame_shares, kind="stable")[:TOP_FRAMES])
    out.print("attention by frame:" if len(most) == len(shown) else "frames with most attention:")
    out.print(bars((found.frame_shares[i], f"frame {clip.frames[0][i]}") for i in most))
    out.print(f"{out_file}: drawn")
