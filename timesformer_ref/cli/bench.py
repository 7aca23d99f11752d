"""`timesformer-ref bench`."""

import json
from pathlib import Path
from typing import Annotated, Literal

from rich.table import Table
from typer import Argument, Option

from timesformer_ref.cli import options
from timesformer_ref.cli.console import out, progress_bar, require, wrong_use
from timesformer_ref.cli.options import flag, number


def bench(
    videos: Annotated[
        list[Path] | None,
        Argument(help="Video files: time from file to prediction instead.", metavar="VIDEO"),
    ] = None,
    frames: Annotated[int, number("Frames of the clip.")] = 8,
    size: Annotated[int, number("Side of a frame, pixels.")] = 224,
    scheme: Annotated[
        Literal["divided_space_time", "joint_space_time", "space_only"],
        Option(help="Attention scheme: one of the three of transformers."),
    ] = "divided_space_time",
    repeats: Annotated[int, number("Measured rounds.")] = 7,
    threads: Annotated[int | None, number("Threads of PyTorch; by default its own choice.")] = None,
    dtype: Annotated[
        options.Dtype, Option(help="Arithmetic; NumPy takes part in float32 only.")
    ] = "float32",
    batch: Annotated[int, number("Clips at once.")] = 1,
    device: options.DeviceOption = "cpu",
    compiled: Annotated[
        bool, flag("--compile", "Also time the models compiled by torch.compile.")
    ] = False,
    fastest_only: Annotated[bool, flag("--fastest", "Time classify's own form only.")] = False,
    train: Annotated[bool, Option(help="Time a training step: forward, backward, AdamW.")] = False,
    json_file: Annotated[
        Path | None, options.file("Also write the results to this file.", "--json")
    ] = None,
) -> None:
    """Time this project against transformers, and against the limit, on random clips.

    All run in turn, round by round, on the same random weights of ViT-Base and the same clips. The
    limit is the matrix products that the logits need, with nothing between them, each by the
    fastest library at hand. A fixed product is timed around each round, and rounds beside a slow
    one are left out. The table shows the rounds' medians, in brackets the smallest and the largest.

    With videos, the time is from file to prediction: `classify` against a loop of PyAV, an image
    processor and transformers, on the same frames and one crop of each video.
    """
    import torch

    from timesformer_ref.benchmark.breakdown import breakdown
    from timesformer_ref.benchmark.limit import LIMIT
    from timesformer_ref.benchmark.report import report
    from timesformer_ref.benchmark.runners import Case, runners, taken
    from timesformer_ref.benchmark.timing import time_runners
    from timesformer_ref.benchmark.videos import video_runners
    from timesformer_ref.config import TimeSformerConfig

    if threads:
        torch.set_num_threads(threads)
    require("peers", "transformers")
    with wrong_use():
        config = TimeSformerConfig(
            num_frames=frames, image_size=size, attention_type=scheme, drop_path_rate=0.0
        )
        where, kind = options.check_device(device), getattr(torch, dtype)
        case = Case(config, kind, where, batch, compiled, fastest_only, train)
        runs = video_runners(videos, case) if videos else runners(case)
    with progress_bar() as progress:
        task = progress.add_task("runs", total=(2 + repeats) * len(runs))
        timings = time_runners(runs, repeats, lambda: progress.advance(task), case.device)
    best = min((t for t in timings if "timesformer_ref" in t.name), key=lambda t: t.ratio).name
    shares = {} if videos or train else {n: breakdown(runs[n], case.device) for n in (best, LIMIT)}
    found = report(case, timings, repeats, shares, len(videos or ()))
    table = Table("", "time", "to peer", "to the limit", "memory", "off by", box=None)
    for timing in timings:
        memory, spread = timing.peak_memory, "({:.2f} to {:.2f})".format(*timing.spread)
        limited = "" if timing.limit_ratio is None else f"{timing.limit_ratio:.2f} {spread}"
        table.add_row(
            timing.name,
            f"{timing.median_seconds:.2f} s",
            f"{timing.ratio:.2f}" if limited else f"{timing.ratio:.2f} {spread}",
            limited,
            "" if memory is None else f"{memory / 1e6:.0f} MB",
            "" if timing.difference is None else f"{timing.difference:.1e}",
        )
    out.print(table)
    out.print(f"{found['left_out']} of {repeats} rounds left out because the machine was disturbed")
    if shares:
        parts = ", ".join(f"{kind} {share:.1%}" for kind, share in shares[best].items())
        out.print(f"{best}, by operators: {parts}\nclassify takes {taken(case)}")
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
