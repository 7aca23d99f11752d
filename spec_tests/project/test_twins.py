"""NumPy and PyTorch are the same model, of any scheme and geometry, in the same functions."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from spec_tests.harness.cases import Case, drawn_cases
from spec_tests.harness.porting import Port
from spec_tests.ports.variants import numpy_float64, torch_float64
from spec_tests.project.closeness import GRADIENT_BOUND, assert_close
from timesformer_ref import numpy_blocks, torch_blocks

NUMPY, TORCH = Port(numpy_float64, "NumPy"), Port(torch_float64, "PyTorch")
any_geometry = drawn_cases(NUMPY, NUMPY.schemes, ragged=None)

FILES = [
    Path(package.__path__[0]) / name
    for package in (numpy_blocks, torch_blocks)
    for name in (
        "model.py",
        "patchify.py",
        "time_embedding.py",
        "divided_attention.py",
        "layers.py",
        "classifier.py",
    )
]
BLOCKS = sorted({path.stem for path in FILES})

IN_PYTORCH = {
    "linear": "nn.Linear",
    "layer_norm": "nn.LayerNorm",
    "gelu": "nn.GELU",
    "softmax": "torch.softmax",
    "patch_pixels": "nn.Conv2d, whose stride is its kernel",
}
"""NumPy functions that PyTorch has itself, and where."""
TRAINING = {"__init__", "reset_parameters", "stochastic_depth"}
"""What PyTorch has beside the NumPy functions: only training needs it."""
OWN = {"weights", "w", "config", "self", "model"}
"""Weights and config, or the PyTorch model or module that holds them."""
FROM_CONFIG = {("self_attention", "heads")}
"""What a module took from the config when it was made."""
ON_REQUEST = {"output_attentions"}
"""What PyTorch asks for in every function: NumPy computes attention weights in any case."""
FORWARD = {"time_sformer": "forward"}
"""NumPy's name for a module's `forward`, where it is not the module's own name."""


def numpy_functions(block):
    """Name and arguments of each function of a NumPy file, in order."""
    module = import_module(f"timesformer_ref.numpy_blocks.{block}")
    return [
        (name, [x for x in arguments(function) if (name, x) not in FROM_CONFIG])
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
        if name not in IN_PYTORCH
    ]


def torch_functions(block):
    """The same of a PyTorch file: a module's `forward` has the module's name, in snake case."""
    module = import_module(f"timesformer_ref.torch_blocks.{block}")
    found = []
    for name, item in vars(module).items():
        if getattr(item, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(item):
            found.append((name, arguments(item)))
        elif inspect.isclass(item) and not issubclass(item, tuple):
            whole = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            found += [
                (FORWARD.get(whole, whole) if method == "forward" else method, arguments(function))
                for method, function in vars(item).items()
                if inspect.isfunction(function)
            ]
    return [(name, names) for name, names in found if name not in TRAINING]


def arguments(function):
    parameters = inspect.signature(function).parameters.values()
    whole = ("int", int)  # the `w` of a grid is no weights
    return [p.name for p in parameters if p.name not in OWN or p.annotation in whole]


def less(names, gone):
    return [name for name in names if name not in gone]


def test_every_file_has_its_twin():
    for package in (numpy_blocks, torch_blocks):
        found = {path.stem for path in Path(package.__path__[0]).glob("*.py")}
        assert found - {"__init__"} == set(BLOCKS)


@pytest.mark.parametrize("block", BLOCKS)
def test_twins_have_the_same_functions_with_the_same_arguments_in_the_same_order(block):
    asked = ON_REQUEST if block != "model" else set()  # in `forward` both have it
    found = [(name, less(names, asked)) for name, names in torch_functions(block)]
    assert found == numpy_functions(block)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_block_fits_beside_its_twin_on_a_page(path):
    text = path.read_text("utf-8")
    assert max(map(len, text.splitlines())) <= 72
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@settings(max_examples=40, deadline=None)
@given(any_geometry)
def test_logits_agree(drawn):
    case = Case(**drawn)
    asked = case.video, case.weights, case.config
    assert_close(TORCH.call("forward", *asked), NUMPY.call("forward", *asked), "PyTorch's logits")


@settings(max_examples=15, deadline=None)
@given(any_geometry)
def test_gradients_of_every_weight_agree(drawn):
    case = Case(**drawn)
    asked = case.video, case.labels, case.weights, case.config
    loss, expected = NUMPY.call("gradients", *asked)
    torch_loss, found = TORCH.call("gradients", *asked)
    assert_close([torch_loss], [loss], "PyTorch's loss")
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name in case.weights:
        assert np.abs(found[name] - expected[name]).max() <= GRADIENT_BOUND * largest, name
