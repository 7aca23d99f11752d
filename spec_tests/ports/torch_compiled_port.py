"""This project's PyTorch implementation by the port interface, compiled: the whole model at once."""

import torch

from spec_tests.ports import torch_port
from spec_tests.ports.torch_port import array, tensor

NAME = "timesformer_ref (PyTorch, compiled)"
ATTENTION_TYPES = torch_port.ATTENTION_TYPES
STATIC_SHAPES = True


def load(weights, config):
    return torch.compile(torch_port.load(weights, config), dynamic=False)


@torch.no_grad()
def forward(video, model, config):
    return array(model(tensor(video, model)).logits)


gradients = torch_port.gradients
