"""This project's PyTorch implementation by the port interface, compiled: the model as a whole.

A compilation takes seconds, so this port offers the published models' scheme only.
"""

import torch

from spec_tests.ports import torch_port

NAME = "timesformer_ref (PyTorch, compiled)"
ATTENTION_TYPES = ("divided_space_time",)
STATIC_SHAPES = True

torch._dynamo.config.recompile_limit = 10_000  # else it runs uncompiled, unnoticed, after eight
torch._dynamo.config.accumulated_recompile_limit = 10_000
torch._dynamo.config.fail_on_recompile_limit_hit = True

forward, gradients = torch_port.forward, torch_port.gradients


def load(weights, config):
    model = torch_port.load(weights, config)
    model.compile(dynamic=False)
    return model
