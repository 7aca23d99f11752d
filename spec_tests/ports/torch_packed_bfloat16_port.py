"""This project's PyTorch implementation by the port interface, folded and packed in bfloat16."""

import torch

from spec_tests.ports import torch_port
from spec_tests.ports.torch_folded_port import *  # noqa: F403
from timesformer_ref.inference.fold import fold
from timesformer_ref.inference.pack import pack

NAME = "timesformer_ref (PyTorch, folded and packed, bfloat16)"
DTYPE = "bfloat16"
ATTENTION_TYPES = torch_port.ATTENTION_TYPES


def load(weights, config):
    return pack(fold(torch_port.load(weights, config, dtype=torch.bfloat16)))
