"""This project's PyTorch implementation by the port interface, folded and compiled."""

from spec_tests.ports import torch_compiled_port, torch_folded_port

NAME = "timesformer_ref (PyTorch, folded and compiled)"
ATTENTION_TYPES = torch_compiled_port.ATTENTION_TYPES
STATIC_SHAPES = True

forward = torch_compiled_port.forward


def load(weights, config):
    model = torch_folded_port.load(weights, config)
    model.compile(dynamic=False)
    return model
