"""This project's PyTorch implementation by the port interface, in float64."""

from functools import partial

import torch

from spec_tests.ports import torch_port
from spec_tests.ports.torch_port import *  # noqa: F403

NAME = "timesformer_ref (PyTorch, float64)"
DTYPE = "float64"
ATTENTION_TYPES = torch_port.ATTENTION_TYPES
load = partial(torch_port.load, dtype=torch.float64)
