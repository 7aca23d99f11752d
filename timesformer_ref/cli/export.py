"""`timesformer-ref export`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timesformer_ref.atomic import check_target
from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, require, wrong_use

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from torch import Tensor

    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.checkpoints.pretrained import TimeSformer
    from timesformer_ref.input.preprocessing import Preprocessing


@options.takes_input
def export(
    out_file: Annotated[
        Path, options.file("What to write: .onnx, or .pt2 for torch.export.", "--out")
    ],
    checkpoint: options.CheckpointOption = None,
    fold: Annotated[
        bool,
        typer.Option(
            "--fold", help="Merge layers: fewer operations, the same logits (exact algebra)."
        ),
    ] = False,
    uint8: Annotated[
        bool,
        typer.Option(
            "--uint8", help="Merge the normalisation too: the file takes pixels from 0 to 255."
        ),
    ] = False,
    batch: Annotated[
        int | None, options.number("Fix the number of clips at once; by default any.")
    ] = None,
    dtype: Annotated[options.Dtype, typer.Option(help="Arithmetic of the file.")] = "float32",
    labels: options.LabelsOption = None,
    *,
    given: options.Input,
) -> None:
    """Export a model as one file for other runtimes, and check it.

    Frames and their size are fixed in the file, the number of clips is not. Its metadata holds the
    names of the classes and the preprocessing. The file is run on a random clip and compared with
    the model.
    """
    from timesformer_ref.use.export import NEEDED

    with wrong_use():
        check_target(out_file, NEEDED)
    require("export", *NEEDED[out_file.suffix])
    import torch

    from timesformer_ref.checkpoints.pretrained import TimeSformer
    from timesformer_ref.inference.fast import for_inference
    from timesformer_ref.inference.fold import fold as folded
    from timesformer_ref.use.export import example, write_model

    loaded, preprocessing = given.read(checkpoint, labels)
    model = TimeSformer.from_checkpoint(loaded)
    if uint8:
        ready = folded(model, preprocessing.mean, preprocessing.std)
    else:
        ready = folded(model) if fold else for_inference(model)
    ready.to(getattr(torch, dtype))
    size = preprocessing.crop
    shape = preprocessing.num_frames, loaded.config.num_channels, size, size
    with wrong_use():
        note = _note(loaded, preprocessing, uint8)
        write_model(ready, shape, out_file, clips=batch, note=note)
    video = example(ready, shape, batch or 1)
    kind = str(video.dtype).removeprefix("torch.")
    out.print(f"{out_file}: written, for clips of {' x '.join(map(str, shape))}, {kind}")
    _compare(out_file, model, video, preprocessing)


def _note(loaded: Checkpoint, preprocessing: Preprocessing, uint8: bool) -> str:
    """The file's metadata, without a normalisation that is part of the model."""
    from timesformer_ref.checkpoints.notes import write_note

    kept = asdict(preprocessing)
    if uint8:
        del kept["mean"], kept["std"]
    return write_note(replace(loaded, preprocessing=kept))


def _compare(target: Path, model: TimeSformer, video: Tensor, preprocessing: Preprocessing) -> None:
    """Run the file on a clip, and report how far its logits are from the model's."""
    import torch

    from timesformer_ref.use.export import run_file

    try:
        found, runner = run_file(target, video)
    except ModuleNotFoundError:
        err.print("not checked: onnxruntime is missing: pip install 'timesformer-ref[export]'")
        return
    clip = video.float()
    if not video.is_floating_point():
        mean, std = (
            torch.tensor(x)[:, None, None] for x in (preprocessing.mean, preprocessing.std)
        )
        clip = (clip / 255 - mean) / std
    with torch.inference_mode():
        expected = model(clip).logits
    difference = (found - expected).abs().max() / expected.abs().max()
    out.print(
        f"run by {runner} on a random clip: off from the model by {difference:.1e} of the largest "
        "logit"
    )
