"""The options that several commands share, and what they mean."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from timesformer_ref import atomic, default_model
from timesformer_ref.cli.console import err, wrong_use

if TYPE_CHECKING:  # slow imports are deferred until a command needs them
    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.input.preprocessing import Preprocessing


def number(text: str, *names: str) -> Any:
    """An option that takes a whole number above 0."""
    return Option(*names, help=text, min=1, metavar="N")


def file(text: str, *names: str, metavar: str = "FILE") -> Any:
    """An option that takes the name of a file."""
    return Option(*names, help=text, metavar=metavar)


def value(text: str, metavar: str, **limits: Any) -> Any:
    """An option that takes a word or a number, within limits `min` and `max`."""
    return Option(help=text, metavar=metavar, **limits)


def flag(name: str, text: str) -> Any:
    """An option that is given or not."""
    return Option(name, help=text)


Dtype = Literal["float32", "float64", "bfloat16", "float16"]

CheckpointOption = Annotated[
    str | None,
    Option(
        "--checkpoint",
        "-c",
        help="The weights: an original .pyth file, a Hugging Face folder or hub id "
        "(facebook/timesformer-base-finetuned-k400), or a .safetensors file; by default "
        "camera-motion, the small model in the package (train has no default).",
        metavar="PATH_OR_HUB_ID",
    ),
]
CropsOption = Annotated[
    str | None,
    value("Crops of each clip: 3, or 1 for the centre; by default the checkpoint's, or 3.", "1|3"),
]
ClipsOption = Annotated[int, value("Clips across the video.", "N", min=1, max=1000)]
ImplementationOption = Annotated[
    Literal["torch", "numpy"], Option(help="Which implementation computes.")
]
DeviceOption = Annotated[
    str, value("Where the PyTorch implementation runs: cpu, cuda, mps, …", "NAME")
]
LabelsOption = Annotated[Path | None, file("Names of the classes: one per line, or JSON.")]
HeadsOption = Annotated[
    int | None, number("Attention heads, if no config states them; by default each is 64 wide.")
]


@dataclass(frozen=True)
class Input:
    """The options for a checkpoint's input, where the checkpoint does not state it itself.

    pixels: how a video is read.
    """

    variant: Annotated[
        str | None,
        Option(
            help="A published variant whose sampling and normalisation to use, such as "
            "'K400 HR' or a file's name; by default what the checkpoint states or matches.",
            metavar="NAME",
        ),
    ] = None
    frames: Annotated[int | None, number("Frames of a clip.")] = None
    rate: Annotated[
        str | None,
        Option(
            help="A clip spans N times as many frames as it has, at 30 per second; or 'segments': "
            "one frame from each of equal parts of the video.",
            metavar="N|segments",
        ),
    ] = None
    crop: Annotated[int | None, number("Side of a crop, in pixels.")] = None
    mean: Annotated[
        str | None,
        value("Mean, subtracted from pixels of 0 to 1: a number, or one per channel.", "A|A,B,C"),
    ] = None
    std: Annotated[
        str | None, value("Standard deviation, by which they are then divided.", "A|A,B,C")
    ] = None
    channel_order: Annotated[
        Literal["rgb", "bgr"] | None,
        Option(help="Colour order that the checkpoint was trained on."),
    ] = None
    heads: HeadsOption = None
    pixels: Annotated[
        Literal["stored", "display"] | None,
        Option(
            help="'stored' frames as the original reads them; 'display' honours pixel aspect, "
            "rotation and timestamps; by default what the checkpoint states, or stored."
        ),
    ] = None

    def asked(self, crops: str | None = None) -> dict[str, Any]:
        """The fields of `Preprocessing` that the user gave."""
        if crops not in (None, "1", "3"):
            raise typer.BadParameter(f"--crops {crops}: use 1 or 3")
        asked: dict[str, Any] = {
            "num_frames": self.frames,
            "crop": self.crop,
            "num_crops": crops and int(crops),
            "mean": _numbers("--mean", self.mean),
            "std": _numbers("--std", self.std),
            "channel_order": self.channel_order,
            "pixels": self.pixels,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        if self.rate is None:
            return given
        rate = None if self.rate == "segments" else self.rate
        if rate is not None and (not rate.isdecimal() or int(rate) < 1):
            raise typer.BadParameter(f"--rate {rate}: use a whole number above 0, or segments")
        return given | {"sampling_rate": rate and int(rate)}

    def choose(self, checkpoint: "Checkpoint", crops: str | None = None) -> "Preprocessing":
        """The input that the options, the named variant or the checkpoint itself ask for."""
        from timesformer_ref.checkpoints.choosing import choose_preprocessing
        from timesformer_ref.checkpoints.variants import find_variant

        asked, channels = self.asked(crops), checkpoint.config.num_channels
        for name in ("mean", "std"):
            if len(asked.get(name, ())) == 1:
                asked[name] = asked[name] * channels
        with wrong_use():
            named = None if self.variant is None else find_variant(self.variant)
            return choose_preprocessing(checkpoint, named, asked)

    def read(
        self, checkpoint: str | None, labels: Path | None = None, crops: str | None = None
    ) -> "tuple[Checkpoint, Preprocessing]":
        """The named checkpoint, with the names of its classes, and its input.

        Without a name it is the package's own, and a line says so.
        """
        from timesformer_ref.checkpoints import load_checkpoint

        self.asked(crops)  # before anything is read
        if checkpoint is None:
            name = default_model.NAME
            err.print(f"no --checkpoint: using {name}, a small model of how the camera moves")
        source = default_model.FILE if checkpoint is None else checkpoint
        loaded = load_checkpoint(source, num_attention_heads=self.heads)
        return with_labels(loaded, labels), self.choose(loaded, crops)


def takes_input(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its argument `given`, an `Input`."""
    own = signature(command, eval_str=True)
    shared = signature(Input, eval_str=True).parameters

    @wraps(command)
    def run(**arguments: Any) -> None:
        given = Input(**{name: arguments.pop(name) for name in shared})
        command(**arguments, given=given)

    kept = [parameter for name, parameter in own.parameters.items() if name != "given"]
    parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in (*kept, *shared.values())]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


check_target = wrong_use()(atomic.check_target)
"""Refuse to write a folder, and a file of another ending."""


def check_replaced(target: Path, read: Iterable[Path]) -> None:
    """Refuse to write in the place of what is read."""
    if target.resolve() in (path.resolve() for path in read):
        raise typer.BadParameter(f"{target} would replace what is read: name another file")


def with_labels(checkpoint: "Checkpoint", labels: Path | None) -> "Checkpoint":
    """The checkpoint, with the names of classes in a file if one is given."""
    from timesformer_ref.checkpoints.labels import read_labels

    if labels is None:
        return checkpoint
    return replace(checkpoint, labels=read_labels(labels, checkpoint.config.num_labels))


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = (nan,)
    if not all(map(isfinite, numbers)):
        raise typer.BadParameter(f"{option} {text}: use a number, or one per channel (a,b,c)")
    return numbers


def check_device(name: str) -> str:
    """The device's name, if PyTorch can compute on it."""
    import torch

    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise typer.BadParameter(f"--device {name} is not available here: {reason}") from error
    return name
