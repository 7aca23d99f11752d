"""This project's PyTorch implementation by the port interface, compiled: the model as a whole.

A compilation takes seconds, so this port offers the published models' scheme only.
"""

import torch

from spec_tests.ports import torch_port
from spec_tests.ports.torch_port import array, tensor

NAME = "timesformer_ref (PyTorch, compiled)"
ATTENTION_TYPES = ("divided_space_time",)
STATIC_SHAPES = True

torch._dynamo.config.recompile_limit = 10_000  # else it runs uncompiled, unnoticed, after eight
torch._dynamo.config.accumulated_recompile_limit = 10_000
torch._dynamo.config.fail_on_recompile_limit_hit = True


def load(weights, config):
    return torch.compile(torch_port.load(weights, config), dynamic=False)


@torch.no_grad()
def forward(video, model, config):
    return array(model(tensor(video, model)).logits)


gradients = torch_port.gradients
