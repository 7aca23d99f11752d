"""The options that several commands share, and what they mean."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timesformer_ref import default_model
from timesformer_ref.cli.console import err, wrong_use

if TYPE_CHECKING:  # what is slow to import waits until a command needs it
    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.input.preprocessing import Preprocessing


class Implementation(StrEnum):
    """Which implementation computes."""

    torch = "torch"
    numpy = "numpy"


class Backend(StrEnum):
    """Which implementation computes, or both."""

    torch = "torch"
    numpy = "numpy"
    both = "both"


class Dtype(StrEnum):
    """The arithmetic of the PyTorch implementation."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"
    float16 = "float16"


class ChannelOrder(StrEnum):
    """The order of colours that the checkpoint was trained on."""

    rgb = "rgb"
    bgr = "bgr"


class Pixels(StrEnum):
    """Frames as the file stores them, or as a viewer sees them."""

    stored = "stored"
    display = "display"


class PeerScheme(StrEnum):
    """The attention schemes that `transformers` has."""

    divided = "divided_space_time"
    joint = "joint_space_time"
    space = "space_only"


class Average(StrEnum):
    """What is averaged over the views."""

    logits = "logits"
    softmax = "softmax"


CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        "-c",
        help="The weights: an original .pyth file, a Hugging Face folder or hub id "
        "(facebook/timesformer-base-finetuned-k400), or a .safetensors file; without, the small "
        "model of camera motions that comes with the package.",
        metavar="PATH_OR_HUB_ID",
        show_default=False,
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option(
        help="A published variant whose sampling and normalisation to use, such as "
        "'K400 HR' or a file's name; else what the checkpoint says or matches.",
        metavar="NAME",
    ),
]
FramesOption = Annotated[int | None, typer.Option(help="Frames of a clip.", min=1, metavar="N")]
RateOption = Annotated[
    str | None,
    typer.Option(
        help="A clip spans its frames times N of a video at 30 a second; or 'segments', a frame "
        "from each of equal parts of the video.",
        metavar="N|segments",
    ),
]
CropOption = Annotated[
    int | None, typer.Option(help="Side of a crop, in pixels.", min=1, metavar="N")
]
MeanOption = Annotated[
    str | None,
    typer.Option(
        help="Subtracted from pixels of 0 to 1: a number, or one a channel.", metavar="A|A,B,C"
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option(
        help="Pixels are divided by it after that: a number, or one a channel.", metavar="A|A,B,C"
    ),
]
OrderOption = Annotated[
    ChannelOrder | None, typer.Option(help="Colour order that the checkpoint was trained on.")
]
PixelsOption = Annotated[
    Pixels,
    typer.Option(
        help="'stored' frames as the original reads them; 'display' honours pixel aspect, "
        "rotation and timestamps."
    ),
]
CropsOption = Annotated[
    str | None,
    typer.Option(
        help="Crops of each clip: 3, or 1 for the centre; else what the checkpoint says, or 3.",
        metavar="1|3",
    ),
]
ClipsOption = Annotated[
    int, typer.Option(help="Clips spread over the video.", min=1, max=1000, metavar="N")
]
DeviceOption = Annotated[
    str,
    typer.Option(help="Where the PyTorch implementation runs: cpu, cuda, mps, …", metavar="NAME"),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(help="Names of the classes: a line each, or JSON.", metavar="FILE"),
]
StoredLabelsOption = Annotated[
    Path | None,
    typer.Option(help="Names of the classes to store: a line each, or JSON.", metavar="FILE"),
]
HeadsOption = Annotated[
    int | None,
    typer.Option(
        help="Attention heads, where no config tells; else a head is 64 wide.", min=1, metavar="N"
    ),
]


def read_checkpoint(name: str | None, heads: int | None) -> Checkpoint:
    """The checkpoint that is named, or else the package's own, with a line that says so."""
    from timesformer_ref.checkpoints import load_checkpoint

    if name is not None:
        return load_checkpoint(name, num_attention_heads=heads)
    err.print(
        f"no --checkpoint: {default_model.NAME} answers, a small model of how the camera moves"
    )
    return load_checkpoint(default_model.FILE, num_attention_heads=heads)


def asked_for(
    frames: int | None,
    rate: str | None,
    crop: int | None,
    mean: str | None,
    std: str | None,
    channel_order: ChannelOrder | None,
    crops: str | None = None,
) -> dict[str, Any]:
    """The fields of `Preprocessing` that the user gave."""
    asked: dict[str, Any] = {"num_frames": frames, "crop": crop}
    asked["num_crops"] = None if crops is None else count_crops(crops)
    asked |= {"mean": _numbers("--mean", mean), "std": _numbers("--std", std)}
    asked["channel_order"] = channel_order and channel_order.value
    given = {name: value for name, value in asked.items() if value is not None}
    if rate == "segments":
        return given | {"sampling_rate": None}
    if rate is not None:
        if not rate.isdecimal() or int(rate) < 1:
            raise typer.BadParameter(f"--rate {rate}: use a whole number above 0, or segments")
        given["sampling_rate"] = int(rate)
    return given


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = (nan,)
    if not all(map(isfinite, numbers)):
        raise typer.BadParameter(f"{option} {text}: use a number, or one a channel (a,b,c)")
    return numbers


def choose_input(
    checkpoint: Checkpoint, variant: str | None, asked: dict[str, Any]
) -> Preprocessing:
    """The input that the flags, the named variant or the checkpoint itself ask for."""
    from timesformer_ref.checkpoints.choosing import choose_preprocessing
    from timesformer_ref.checkpoints.variants import find_variant

    channels = checkpoint.config.num_channels
    for name in ("mean", "std"):
        if len(asked.get(name, ())) == 1:
            asked[name] = asked[name] * channels
    with wrong_use():
        named = None if variant is None else find_variant(variant)
        return choose_preprocessing(checkpoint, named, asked)


def count_crops(crops: str) -> int:
    """The number of crops."""
    if crops not in ("1", "3"):
        raise typer.BadParameter(f"--crops {crops}: use 1 or 3")
    return int(crops)


def check_device(name: str) -> str:
    """The device's name, if it computes."""
    import torch

    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise typer.BadParameter(f"--device {name} is not to be had here: {reason}") from error
    return name
