"""`timesformer-ref bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from timesformer_ref.cli import options
from timesformer_ref.cli.console import err, out, progress_bar, wrong_use


def bench(
    frames: Annotated[int, typer.Option(help="Frames of the clip.", min=1, metavar="N")] = 8,
    size: Annotated[int, typer.Option(help="Side of a frame, pixels.", min=1, metavar="N")] = 224,
    scheme: Annotated[
        options.PeerScheme, typer.Option(help="Attention scheme; the peer has three.")
    ] = options.PeerScheme.divided,
    repeats: Annotated[int, typer.Option(help="Measured rounds.", min=1, metavar="N")] = 7,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of PyTorch; else its own choice.", min=1, metavar="N"),
    ] = None,
    dtype: Annotated[
        options.Dtype, typer.Option(help="Arithmetic; NumPy takes part in float32 alone.")
    ] = options.Dtype.float32,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Also time what torch.compile makes of them.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures here.", metavar="FILE")
    ] = None,
) -> None:
    """Time this project beside transformers, and beside bare matrix products, on one clip.

    All run in turn, round by round, on the same random weights of ViT-Base and the same clip, so
    that a slow moment of the machine strikes all alike. The products are the original's linear
    layers with nothing between them.
    """
    import torch

    from timesformer_ref.bench import report, runners, time_runners
    from timesformer_ref.config import TimeSformerConfig

    if threads:
        torch.set_num_threads(threads)
    try:
        import transformers  # noqa: F401
    except ImportError:
        err.print("error: the peer is missing: pip install 'timesformer-ref[peers]'")
        raise typer.Exit(1) from None
    with wrong_use():
        config = TimeSformerConfig(
            num_frames=frames, image_size=size, attention_type=scheme.value, drop_path_rate=0.0
        )
        arithmetic = getattr(torch, dtype.value)
        runs = runners(config, arithmetic, compiled=compiled)
    with progress_bar() as progress:
        task = progress.add_task("rounds", total=repeats * len(runs))
        timings = time_runners(runs, repeats, lambda: progress.advance(task))
    table = Table("", "median time", "to transformers", "to products", "off by", box=None)
    for timing in timings:
        table.add_row(
            timing.name,
            f"{timing.median_seconds:.2f} s",
            f"{timing.ratio:.2f}",
            f"{timing.floor_ratio:.2f}",
            "" if timing.difference is None else f"{timing.difference:.1e}",
        )
    out.print(table)
    if json_file:
        text = json.dumps(report(config, arithmetic, timings), indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
