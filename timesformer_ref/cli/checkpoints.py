"""`timesformer-ref inspect` and `timesformer-ref convert`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from typer import Argument, Option

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, printable
from timesformer_ref.endings import CHECKPOINTS

MOST_PROBLEMS = 12
"""Most problems that are shown."""


def inspect(
    checkpoint: Annotated[
        str, Argument(help="A checkpoint file, folder or hub id.", metavar="CHECKPOINT")
    ],
    heads: options.HeadsOption = None,
) -> None:
    """Show what a checkpoint contains.

    The output names its form, geometry and scheme, the published variant that it matches, and any
    problem.
    """
    from timesformer_ref.checkpoints.geometry import find_problems
    from timesformer_ref.checkpoints.reading import read_unchecked
    from timesformer_ref.checkpoints.variants import matching_variant
    from timesformer_ref.weights import count_parameters

    loaded = read_unchecked(checkpoint, heads)
    problems = find_problems(loaded)
    shown = [problem.replace("\n", " ") for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        shown.append(f"… and {len(problems) - MOST_PROBLEMS} more")
    c = loaded.config
    match = matching_variant(c)
    dtypes = sorted({str(w.dtype).removeprefix("torch.") for w in loaded.weights.values()})
    rows = {
        "form": loaded.form,
        "scheme": f"{c.attention_type} ({', then '.join(c.steps)})",
        "clip": f"{c.num_frames} frames of {c.image_size} x {c.image_size} pixels, "
        f"{c.num_channels} channels",
        "patches": f"{c.grid[1]} x {c.grid[2]} a frame, of {c.patch_size} x {c.patch_size} pixels",
        "blocks": f"{c.num_hidden_layers}, width {c.hidden_size}, {c.num_attention_heads} heads, "
        f"MLP {c.intermediate_size}, {'with' if c.qkv_bias else 'no'} qkv bias",
        "classes": f"{c.num_labels}"
        + (f" ({', '.join(loaded.labels[:3])}, …)" if loaded.labels else ", without names"),
        "parameters": f"{count_parameters(c):,} in {', '.join(dtypes)}",
        "published variant": f"the geometry of {match.name}" if match else "none of this geometry",
        "input": ", ".join(
            f"{k} {'segments' if k == 'sampling_rate' and v is None else v}"
            for k, v in loaded.preprocessing.items()
        )
        or ("as the published variant" if match else "not stated: give --rate, --mean and --std"),
        "problems": "\n".join(shown)
        or "none: every tensor is there, of the right shape, and finite",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows.items():
        table.add_row(*map(printable, row))
    out.print(table)
    if problems:
        raise typer.Exit(1)


def convert(
    source: Annotated[str, Argument(help="A checkpoint file, folder or hub id.", metavar="SOURCE")],
    target: Annotated[
        Path,
        Argument(
            help="What to write: NAME.pyth for the original's form, NAME.safetensors, or a name "
            "without ending for a Hugging Face folder.",
            metavar="TARGET",
        ),
    ],
    frames: Annotated[int | None, options.number("Resize the time embedding to N frames.")] = None,
    size: Annotated[int | None, options.number("Resize the positions to frames of N x N.")] = None,
    labels: options.LabelsOption = None,
    dtype: Annotated[options.Dtype | None, Option(help="Convert the weights to this type.")] = None,
    heads: options.HeadsOption = None,
) -> None:
    """Convert a checkpoint to another form.

    Every weight stays the same, bit for bit, unless --frames or --size resizes the embeddings, or
    --dtype is given.
    """
    if target.suffix not in CHECKPOINTS:
        raise typer.BadParameter(
            f"{target}: use NAME.pyth, NAME.safetensors, or for a folder a name without a dot"
        )
    import torch

    from timesformer_ref.checkpoints import load_checkpoint, save_checkpoint
    from timesformer_ref.checkpoints.variants import matching_variant
    from timesformer_ref.checkpoints.writing import rounded

    loaded = load_checkpoint(source, num_frames=frames, image_size=size, num_attention_heads=heads)
    loaded = options.with_labels(loaded, labels)
    match = None if frames or size else matching_variant(loaded.config)
    if match:
        known = asdict(match.preprocessing) | loaded.preprocessing
        loaded = replace(loaded, preprocessing=known)
    if dtype:
        loaded = rounded(loaded, getattr(torch, dtype))
    save_checkpoint(loaded, target)
    out.print(f"{target}: written, {len(loaded.weights)} tensors")
