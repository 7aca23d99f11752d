"""`timesformer-ref export`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, require, wrong_use
from timesformer_ref.cli.options import flag
from timesformer_ref.endings import EXPORTS


@options.takes_input
def export(
    out_file: Annotated[Path, options.file("The file: .onnx, or .pt2 for torch.export.", "--out")],
    checkpoint: options.CheckpointOption = None,
    fold: Annotated[
        bool, flag("--fold", "Merge layers: fewer operations, same logits (exact algebra).")
    ] = False,
    uint8: Annotated[
        bool,
        flag("--uint8", "Merge the normalisation too: the file takes pixels from 0 to 255."),
    ] = False,
    batch: Annotated[int | None, options.number("Fix the number of clips; by default any.")] = None,
    dtype: Annotated[options.Dtype, Option(help="Arithmetic of the file.")] = "float32",
    labels: options.LabelsOption = None,
    *,
    given: options.Input,
) -> None:
    """Export a model as one file for other runtimes, and check it.

    Frames and their size are fixed in the file, the number of clips is not. Its metadata holds the
    names of the classes and the preprocessing. The file is run on a random clip and compared with
    the model.
    """
    options.check_target(out_file, EXPORTS)
    require("export", *EXPORTS[out_file.suffix])
    given.asked()
    import torch

    from timesformer_ref.checkpoints.pretrained import TimeSformer
    from timesformer_ref.inference.fast import for_inference
    from timesformer_ref.inference.fold import fold as folded
    from timesformer_ref.use.export import compare, example, metadata, write_model

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
        note = metadata(loaded, preprocessing, uint8)
        write_model(ready, shape, out_file, clips=batch, note=note)
    video = example(ready, shape, batch or 1)
    kind = str(video.dtype).removeprefix("torch.")
    out.print(f"{out_file}: written, for clips of {' x '.join(map(str, shape))}, {kind}")
    try:
        off, runner = compare(out_file, model, video, preprocessing)
    except ModuleNotFoundError:
        err.print("not checked: onnxruntime is missing: pip install 'timesformer-ref[export]'")
        return
    out.print(f"run by {runner} on a random clip: off the model by {off:.1e} of the largest logit")
