"""This project's PyTorch implementation by the port interface, folded for inference."""

from spec_tests.ports import torch_port
from spec_tests.ports.torch_port import (
    attention_step,
    block,
    classifier,
    forward,
    mlp,
    patchify,
    time_embedding,
)
from timesformer_ref.inference.fold import fold

__all__ = [
    "attention_step",
    "block",
    "classifier",
    "forward",
    "load",
    "mlp",
    "patchify",
    "time_embedding",
]

NAME = "timesformer_ref (PyTorch, folded)"
ATTENTION_TYPES = torch_port.ATTENTION_TYPES


def load(weights, config):
    return fold(torch_port.load(weights, config))
