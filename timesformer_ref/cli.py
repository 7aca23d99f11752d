"""The command `timesformer-ref`: classify videos, extract features, inspect and convert files."""

from __future__ import annotations

import json
import mimetypes
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import TextIOWrapper
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

if TYPE_CHECKING:  # what is slow to import waits until a command needs it
    from timesformer_ref.checkpoints import Checkpoint
    from timesformer_ref.classify import Classifier, Prediction
    from timesformer_ref.preprocessing import Preprocessing

app = typer.Typer(
    name="timesformer-ref",
    help="TimeSformer, the first video transformer: classify videos with the published "
    "checkpoints, through a readable NumPy and a fast PyTorch writing of the same model.",
    rich_markup_mode=None,  # its boxes leave the help a third of the width
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Names of files and classes may look like markup or emoji, and are to be shown as they are.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


class Writing(StrEnum):
    """Which writing computes."""

    torch = "torch"
    numpy = "numpy"


class Backend(StrEnum):
    """Which writing computes, or both."""

    torch = "torch"
    numpy = "numpy"
    both = "both"


class Dtype(StrEnum):
    """The arithmetic of the PyTorch writing."""

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


class Average(StrEnum):
    """What is averaged over the views."""

    logits = "logits"
    softmax = "softmax"


CheckpointOption = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        "-c",
        help="The weights: an original .pyth file, a Hugging Face folder or hub id "
        "(facebook/timesformer-base-finetuned-k400), or a .safetensors file.",
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
        help="Frames between two sampled ones, at 30 a second; or 'segments', a frame from each "
        "of equal parts of the video.",
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
        help="Divided into pixels after that: a number, or one a channel.", metavar="A|A,B,C"
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
ClipsOption = Annotated[int, typer.Option(help="Clips spread over the video.", min=1, metavar="N")]
DeviceOption = Annotated[
    str, typer.Option(help="Where the PyTorch writing runs: cpu, cuda, mps, …", metavar="NAME")
]
HeadsOption = Annotated[
    int | None,
    typer.Option(
        help="Attention heads, where no config tells; else a head is 64 wide.", min=1, metavar="N"
    ),
]


@app.command()
def classify(
    videos: Annotated[
        list[Path],
        typer.Argument(help="Video files, or folders of them.", metavar="VIDEO"),
    ],
    checkpoint: CheckpointOption,
    backend: Annotated[
        Backend, typer.Option(help="Which writing computes; 'both' compares them.")
    ] = Backend.torch,
    clips: ClipsOption = 1,
    crops: Annotated[
        str, typer.Option(help="Crops of each clip: 3, or 1 for the centre.", metavar="1|3")
    ] = "3",
    top: Annotated[int, typer.Option(help="How many classes to show.", min=1, metavar="N")] = 5,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of the classes: a line each, or JSON.", metavar="FILE"),
    ] = None,
    variant: VariantOption = None,
    frames: FramesOption = None,
    rate: RateOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    channel_order: OrderOption = None,
    pixels: PixelsOption = Pixels.stored,
    average: Annotated[
        Average,
        typer.Option(help="Average the views' logits (original) or their softmax (paper)."),
    ] = Average.logits,
    device: DeviceOption = "cpu",
    dtype: Annotated[
        Dtype, typer.Option(help="Arithmetic of the PyTorch writing.")
    ] = Dtype.float32,
    heads: HeadsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each video.")
    ] = False,
) -> None:
    """Tell the most probable classes of videos.

    For example: timesformer-ref classify video.mp4 --checkpoint weights.pyth
    """
    import torch

    from timesformer_ref.classify import Classifier
    from timesformer_ref.labels import read_labels

    num_crops = _crops(crops)
    loaded = _load(checkpoint, heads)
    asked = _asked(frames, rate, crop, mean, std, channel_order)
    preprocessing = _preprocessing(loaded, variant, asked)
    names = read_labels(labels, loaded.config.num_labels) if labels else loaded.labels
    classifier = Classifier(
        loaded,
        preprocessing,
        backend=backend.value,
        device=_device(device),
        dtype=getattr(torch, dtype.value),
        average=average.value,
    )
    files = _expand(videos)
    failed = 0
    views = clips * num_crops * len(classifier.runs)
    with _progress() as progress:
        task = progress.add_task("", total=len(files) * views)
        for number, file in enumerate(files):
            progress.update(task, description=escape(file.name), completed=number * views)
            prediction = _try_classify(
                classifier, file, clips, num_crops, pixels, lambda: progress.advance(task)
            )
            if prediction is None:
                failed += 1
            elif as_json:
                out.print(json.dumps(_as_json(prediction, names, top)))
            elif len(files) == 1:
                _show(prediction, names, top)
            else:
                out.print(_line(prediction, names, top))
    if failed:
        if len(files) > 1:
            err.print(f"{failed} of {len(files)} videos could not be classified")
        raise typer.Exit(1)


@app.command()
def features(
    video: Annotated[Path, typer.Argument(help="A video file.", metavar="VIDEO")],
    checkpoint: CheckpointOption,
    out_file: Annotated[
        Path, typer.Option("--out", help="Where to write: .npz or .safetensors.", metavar="FILE")
    ],
    block: Annotated[
        int | None,
        typer.Option(
            help="After which block, 1 for the first; 0 for what enters it. By default the last.",
            min=0,
            metavar="N",
        ),
    ] = None,
    backend: Annotated[Writing, typer.Option(help="Which writing computes.")] = Writing.torch,
    clips: ClipsOption = 1,
    crops: Annotated[
        str, typer.Option(help="Crops of each clip: 3, or 1 for the centre.", metavar="1|3")
    ] = "1",
    variant: VariantOption = None,
    frames: FramesOption = None,
    rate: RateOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    channel_order: OrderOption = None,
    pixels: PixelsOption = Pixels.stored,
    device: DeviceOption = "cpu",
    heads: HeadsOption = None,
) -> None:
    """Write what a block knows of a video to a file.

    That is the class token, and the patches by frame and place. The file holds `class_token` (views
    x width), `patches` (views x frames x rows x columns x width), `frames` (the frame numbers of
    each clip) and, of the last block, `class_feature`, the normed class token that the classifier
    sees.
    """
    from timesformer_ref.features import (
        check_target,
        extract_features,
        numpy_hidden_states,
        save_features,
        torch_hidden_states,
    )
    from timesformer_ref.video import read_clip

    with _wrong_use():
        check_target(out_file)
    if out_file.resolve() in (video.resolve(), Path(checkpoint).resolve()):
        raise typer.BadParameter(f"--out {out_file} would replace what is read: name another file")
    num_crops = _crops(crops)
    loaded = _load(checkpoint, heads)
    depth = loaded.config.num_hidden_layers
    if block is not None and block > depth:
        raise typer.BadParameter(f"--block {block}: the checkpoint has {depth} blocks")
    asked = _asked(frames, rate, crop, mean, std, channel_order)
    preprocessing = _preprocessing(loaded, variant, asked)
    run = (
        torch_hidden_states(loaded, _device(device))
        if backend == Writing.torch
        else numpy_hidden_states(loaded)
    )
    with _wrong_use():
        clip = read_clip(
            video, preprocessing, num_clips=clips, num_crops=num_crops, pixels=pixels.value
        )
        found = extract_features(loaded, clip.video, depth if block is None else block, run)
    save_features(found, clip.frames, out_file)
    shapes = {name: a.shape for name, a in found._asdict().items() if a is not None}
    out.print(
        f"{out_file}: " + ", ".join(f"{n} {' x '.join(map(str, s))}" for n, s in shapes.items())
    )


@app.command()
def inspect(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint file, folder or hub id.", metavar="CHECKPOINT")
    ],
    heads: HeadsOption = None,
) -> None:
    """Tell what a checkpoint is.

    That is its form, geometry and scheme, the published variant that it matches, and any problem.
    """
    from timesformer_ref.variants import matching_variant
    from timesformer_ref.weights import count_parameters

    loaded = _load(checkpoint, heads)
    config = loaded.config
    match = matching_variant(config)
    dtypes = sorted({str(w.dtype).removeprefix("torch.") for w in loaded.weights.values()})
    rows = {
        "form": loaded.form,
        "scheme": f"{config.attention_type} ({', then '.join(config.steps)})",
        "clip": f"{config.num_frames} frames of {config.image_size} x {config.image_size} pixels, "
        f"{config.num_channels} channels",
        "patches": f"{config.grid[1]} x {config.grid[2]} a frame, of {config.patch_size} x "
        f"{config.patch_size} pixels",
        "blocks": f"{config.num_hidden_layers}, width {config.hidden_size}, "
        f"{config.num_attention_heads} heads, MLP {config.intermediate_size}, "
        f"{'with' if config.qkv_bias else 'no'} qkv bias",
        "classes": f"{config.num_labels}"
        + (f" ({', '.join(loaded.labels[:3])}, …)" if loaded.labels else ", without names"),
        "parameters": f"{count_parameters(config):,} in {', '.join(dtypes)}",
        "published variant": f"the geometry of {match.name}" if match else "none of this geometry",
        "input": ", ".join(
            f"{k} {'segments' if k == 'sampling_rate' and v is None else v}"
            for k, v in loaded.preprocessing.items()
        )
        or ("as the published variant" if match else "not told: give --rate, --mean and --std"),
        "problems": "none: every tensor is there, of the right shape, and finite",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows.items():
        table.add_row(*row)
    out.print(table)


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(help="A checkpoint file, folder or hub id.", metavar="SOURCE")
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="What to write: NAME.pyth for the original's form, NAME.safetensors, or a name "
            "without ending for a Hugging Face folder.",
            metavar="TARGET",
        ),
    ],
    frames: Annotated[
        int | None, typer.Option(help="Resize the time embedding to N frames.", min=1, metavar="N")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Resize the positions to frames of N x N.", min=1, metavar="N"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Names of the classes to store: a line each, or JSON.", metavar="FILE"),
    ] = None,
    heads: HeadsOption = None,
) -> None:
    """Write a checkpoint in another form.

    Every weight stays as it is, bit for bit, unless --frames or --size resizes the embeddings.
    """
    from dataclasses import asdict, replace

    from timesformer_ref.checkpoints import load_checkpoint, save_checkpoint
    from timesformer_ref.labels import read_labels
    from timesformer_ref.variants import matching_variant

    loaded = load_checkpoint(source, num_frames=frames, image_size=size, num_attention_heads=heads)
    if labels:
        loaded = replace(loaded, labels=read_labels(labels, loaded.config.num_labels))
    if match := matching_variant(loaded.config):
        known = asdict(match.preprocessing) | loaded.preprocessing
        loaded = replace(loaded, preprocessing=known)
    save_checkpoint(loaded, target)
    out.print(f"{target}: written, {len(loaded.weights)} tensors")


def _load(source: str, heads: int | None) -> Checkpoint:
    from timesformer_ref.checkpoints import load_checkpoint

    return load_checkpoint(source, num_attention_heads=heads)


def _asked(
    frames: int | None,
    rate: str | None,
    crop: int | None,
    mean: str | None,
    std: str | None,
    channel_order: ChannelOrder | None,
) -> dict[str, Any]:
    """The fields of `Preprocessing` that the user gave."""
    asked: dict[str, Any] = {"num_frames": frames, "crop": crop}
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


def _preprocessing(
    checkpoint: Checkpoint, variant: str | None, asked: dict[str, Any]
) -> Preprocessing:
    from timesformer_ref.classify import choose_preprocessing
    from timesformer_ref.variants import find_variant

    channels = checkpoint.config.num_channels
    for name in ("mean", "std"):
        if len(asked.get(name, ())) == 1:
            asked[name] = asked[name] * channels
    with _wrong_use():
        named = None if variant is None else find_variant(variant)
        return choose_preprocessing(checkpoint, named, asked)


@contextmanager
def _wrong_use() -> Iterator[None]:
    """Blame the arguments for a ValueError."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _crops(crops: str) -> int:
    if crops not in ("1", "3"):
        raise typer.BadParameter(f"--crops {crops}: use 1 or 3")
    return int(crops)


def _device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise typer.BadParameter(f"--device {name} is not to be had here: {reason}") from error
    return name


def _expand(videos: list[Path]) -> list[Path]:
    """The files themselves, and for a folder the videos in it by name."""
    files: list[Path] = []
    for video in videos:
        if not video.is_dir():
            files.append(video)
            continue
        inside = sorted(p for p in video.iterdir() if p.is_file() and _is_video(p))
        if not inside:
            raise typer.BadParameter(f"{video}: a folder without any video file")
        files += inside
    return files


def _is_video(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("video/") or path.suffix.lower() in (".mkv", ".flv", ".m2ts", ".ts")


def _try_classify(
    classifier: Classifier, file: Path, clips: int, crops: int, pixels: Pixels, progress: Any
) -> Prediction | None:
    """The prediction, or nothing after a line that says what is wrong with the video."""
    from timesformer_ref.video import VideoError

    try:
        with _wrong_use():
            return classifier(
                file, num_clips=clips, num_crops=crops, pixels=pixels.value, progress=progress
            )
    except (VideoError, OSError) as error:
        err.print(_one_line(error))
    return None


def _as_json(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "video": prediction.video,
        "frames": prediction.frames,
        "views": prediction.views,
        "backend": prediction.backend,
        "top": [
            {
                "index": index,
                "label": _label(index, names),
                "probability": float(prediction.probabilities[index]),
            }
            for index in prediction.top(top)
        ],
        "logits": prediction.logits.tolist(),
    }
    if prediction.max_difference is not None:
        answer["max_difference"] = prediction.max_difference
    return answer


def _label(index: int, names: tuple[str, ...] | None) -> str:
    return names[index] if names else str(index)


def _show(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column(style="cyan", width=20)
    table.add_column(overflow="fold")
    for index in prediction.top(top):
        probability = float(prediction.probabilities[index])
        bar = "█" * round(20 * probability)
        name = f"{names[index]}  ({index})" if names else f"class {index}"
        table.add_row(f"{100 * probability:.1f} %", bar, name)
    out.print(table)
    if prediction.max_difference is not None:
        out.print(_difference(prediction))


def _line(prediction: Prediction, names: tuple[str, ...] | None, top: int) -> str:
    classes = ", ".join(
        f"{_label(index, names)} {100 * prediction.probabilities[index]:.1f} %"
        for index in prediction.top(top)
    )
    line = f"{prediction.video}: {classes}"
    if prediction.max_difference is not None:
        line += f" ({_difference(prediction)})"
    return line


def _difference(prediction: Prediction) -> str:
    return f"largest difference between NumPy and PyTorch: {prediction.max_difference:.1e}"


def _progress() -> Progress:
    return Progress(console=err, transient=True, disable=not err.is_terminal)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    err.print(f"warning: {str(message).splitlines()[0]}")


def main() -> None:
    """Run the command line; errors are one line, exit code 2 for wrong use and 1 for a failure."""
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, TextIOWrapper):  # a name that its encoding lacks is no failure
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        err.print(_one_line(error.format_message()))
        code = error.exit_code
    except Exception as error:
        if not _is_ours(error):
            raise
        err.print(_one_line(error))
        code = 1
    sys.exit(code)


def _is_ours(error: Exception) -> bool:
    """Whether an error tells a user something, and a traceback would tell no more."""
    from torch import OutOfMemoryError

    from timesformer_ref.checkpoints import CheckpointError
    from timesformer_ref.labels import LabelError
    from timesformer_ref.video import VideoError

    told = CheckpointError | LabelError | VideoError | OSError | MemoryError | OutOfMemoryError
    return isinstance(error, told)


def _one_line(error: Exception | str) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    return f"error: {' '.join(str(error).splitlines())}"
