"""This project's PyTorch implementation by the port interface, folded and packed for this CPU."""

from spec_tests.ports import torch_folded_port
from spec_tests.ports.torch_folded_port import *  # noqa: F403
from timesformer_ref.inference.pack import pack

NAME = "timesformer_ref (PyTorch, folded and packed)"
ATTENTION_TYPES = torch_folded_port.ATTENTION_TYPES


def load(weights, config):
    return pack(torch_folded_port.load(weights, config))
