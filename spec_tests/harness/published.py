"""A published checkpoint, a published video, and the logits that their publisher states.

They are those of the slow test of `transformers`,
`tests/models/timesformer/test_modeling_timesformer.py`: the first eight frames of the video, by the
library's image processor for VideoMAE with mean and standard deviation 0.5.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from timesformer_ref.checkpoints import Checkpoint, load_checkpoint

CHECKPOINT = "facebook/timesformer-base-finetuned-k400"
DATASET, FILE = "hf-internal-testing/spaghetti-video", "eating_spaghetti.npy"
LOGITS = (-0.3016, -0.7713, -0.4205)
"""Of the first classes."""
TOLERANCE = 2e-4
"""Absolute and relative, as in the test that states them."""

FRAMES = 8
MOST_BYTES = 2**30
"""The most that the video may hold as an array: the published one has some megabytes."""


class NotAtHand(Exception):
    """What is needed cannot be had here; the message gives the cause."""


def plan() -> str:
    """What the check would do."""
    return (
        f"--published would download the checkpoint {CHECKPOINT} (0.5 GB) and {FILE} of the data "
        f"set {DATASET}, run both implementations and transformers on its first {FRAMES} frames, "
        f"and compare them with each other and the first logits with {LOGITS}"
    )


def download() -> tuple[Checkpoint, np.ndarray]:
    """The checkpoint and its input, b t c H W, in float32.

    Raises NotAtHand where either cannot be had, and where transformers is not installed.
    """
    try:
        frames = download_frames()
        return load_checkpoint(CHECKPOINT), processed(frames)
    except Exception as error:  # of the connection, of its libraries, and of two hubs' answers
        raise NotAtHand(f"{type(error).__name__}: {error}") from error


def download_frames() -> np.ndarray:
    """The video's first frames, t H W c, uint8."""
    import huggingface_hub

    path = huggingface_hub.hf_hub_download(DATASET, FILE, repo_type="dataset")
    frames = np.load(path, mmap_mode="r", allow_pickle=False)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.nbytes > MOST_BYTES:
        raise ValueError(f"{path} holds {frames.dtype} of shape {frames.shape}, expected frames")
    return np.array(frames[:FRAMES])


def processed(frames: np.ndarray) -> np.ndarray:
    """The frames as the test prepares them."""
    half = [0.5, 0.5, 0.5]
    processor: Any = importlib.import_module("transformers").VideoMAEImageProcessor
    pixels = processor(image_mean=half, image_std=half)(list(frames), return_tensors="np")
    return np.float32(pixels["pixel_values"])
