"""Small models and videos, and the command line in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import torch

from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.input import decoding

CONFIG = TimeSformerConfig(
    image_size=32,
    patch_size=8,
    num_frames=4,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    num_labels=5,
    drop_path_rate=0.0,
)

INPUT = {
    "sampling_rate": 2,
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.25, 0.3),
    "channel_order": "bgr",
}

LABELS = ("dancing", "jumping", "été", "[/bold] :smile:", "swimming")

Said = namedtuple("Said", "code out err")
"""What a command ended with and printed."""


def checkpoint(dtype=torch.float32, labels=None, preprocessing=None, seed=0, **fields):
    """Weights of the tiny model, none of them zero, so that every one shows in the logits."""
    config = replace(CONFIG, **fields)
    rng = np.random.default_rng(seed)
    weights = {
        name: torch.from_numpy(w + rng.normal(0, 0.1, w.shape).astype(np.float32)).to(dtype)
        for name, w in initial_weights(config, seed).items()
    }
    return Checkpoint(config, weights, labels, preprocessing or {})


def same_weights(found, expected):
    """Whether both have the same names, types and bits."""
    return found.keys() == expected.keys() and all(
        w.dtype == expected[name].dtype and torch.equal(w, expected[name])
        for name, w in found.items()
    )


def clip(config=CONFIG, batch=1, seed=1):
    """A normalised clip of the config's size."""
    shape = (batch, config.num_frames, config.num_channels, config.image_size, config.image_size)
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def write_video(path, frames=12, size=(48, 40), rate=30, turned=False, aspect=1):
    """A short video of moving stripes, W H in size; for viewers turned, or of pixels not square."""
    width, height = size
    stripes = np.add.outer(np.arange(height), 3 * np.arange(width))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if turned:
            stream.set_display_matrix([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30])
        for i in range(frames):
            picture = np.stack([(stripes + 9 * i * c) % 256 for c in (1, 2, 3)], axis=-1)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def command(*arguments, cwd=None, env=None, timeout=60):
    """Run `timesformer-ref` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "timesformer_ref", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=timeout,
        check=False,
    )


def one_line(said, code, *words):
    """Nothing but one line of error, which holds all the words."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("error: "), said.err
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert str(word) in said.err


def count_decoded(monkeypatch):
    """The number of frames that each pass over a video file has decoded, as it is read."""
    decoded, frames = [], decoding.decode_frames

    def counted(path):
        decoded.append(0)
        for frame in frames(path):
            decoded[-1] += 1
            yield frame

    monkeypatch.setattr(decoding, "decode_frames", counted)
    return decoded
