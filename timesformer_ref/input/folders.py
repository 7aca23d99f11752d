"""Which files of a folder are videos: by their endings, the same on every system."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from timesformer_ref.input.decoding import VideoWarning

NAMES = """
    3g2 3gp 264 265 amv asf avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg
    mkv mov mp4 mpe mpeg mpg mts mxf nut ogm ogv qt rm rmvb ts vob webm wmv wtv y4m
"""
VIDEO_ENDINGS = frozenset(f".{name}" for name in NAMES.split())
"""Endings of files that FFmpeg opens as moving pictures."""


def videos_in(folder: Path, deep: bool = False) -> tuple[list[Path], list[Path]]:
    """The videos of a folder, and what else is in it, both sorted.

    deep: also those of the folders below. Hidden files and folders, and macOS's `__MACOSX`, are
    left out of both.
    """
    videos, others = [], []
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        inside = path.relative_to(folder).parts
        if "__MACOSX" in inside or any(part.startswith(".") for part in inside):
            continue
        if path.is_file() and path.suffix.lower() in VIDEO_ENDINGS:
            videos.append(path)
        elif not (deep and path.is_dir()):
            others.append(path)
    return videos, others


def warn_of_others(folder: Path, others: Sequence[Path]) -> None:
    """Warn of what was passed over in a folder, in one line."""
    if others:
        some = ", ".join(path.name for path in others[:3]) + ", …" * (len(others) > 3)
        message = f"{folder}: passed over what is no video file: {len(others)} ({some})"
        warnings.warn(message, VideoWarning, stacklevel=3)
