"""This project's PyTorch implementation by the port interface, in bfloat16."""

from functools import partial

import torch

from spec_tests.ports import torch_port
from spec_tests.ports.torch_port import *  # noqa: F403

NAME = "timesformer_ref (PyTorch, bfloat16)"
DTYPE = "bfloat16"
ATTENTION_TYPES = torch_port.ATTENTION_TYPES
load = partial(torch_port.load, dtype=torch.bfloat16)
