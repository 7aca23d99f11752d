"""This project's ports in other arithmetics, and faster copies of its PyTorch model.

Each is an object of this file, for instance `--port spec_tests.ports.variants:torch_float16`.
"""

from types import SimpleNamespace

import torch

from spec_tests.ports import numpy_port, torch_port
from timesformer_ref.inference.fold import fold
from timesformer_ref.inference.pack import pack

INFERENCE = (
    "forward",
    "patchify",
    "time_embedding",
    "attention_step",
    "mlp",
    "block",
    "classifier",
)
"""The functions of a model that cannot be trained."""

COMPILED = {"ATTENTION_TYPES": ("divided_space_time",), "STATIC_SHAPES": True}
"""A compilation takes seconds, so compiled ports offer the published models' scheme only, and
blocks of one shape share it."""


def variant(port, title, functions, **attributes):
    """A port with these functions of another, and with attributes of its own."""
    own = {"NAME": f"timesformer_ref ({title})", "ATTENTION_TYPES": port.ATTENTION_TYPES}
    return SimpleNamespace(**{f: getattr(port, f) for f in functions} | own | attributes)


def of_torch(title, functions, change, dtype="float32", **attributes):
    """The PyTorch port in an arithmetic, each model changed once it is loaded."""

    def load(weights, config):
        return change(torch_port.load(weights, config, getattr(torch, dtype)))

    title = f"PyTorch, {title}"
    return variant(torch_port, title, functions, load=load, DTYPE=dtype, **attributes)


def unchanged(model):
    return model


def packed(model):
    return pack(fold(model))


def compiled(model):
    torch._dynamo.config.recompile_limit = 10_000  # else it runs uncompiled, unnoticed, after eight
    torch._dynamo.config.accumulated_recompile_limit = 10_000
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    for block in model.blocks:
        block.compile(dynamic=False)
    return model


def folded_compiled(model):
    return compiled(fold(model))


ALL = torch_port.__all__
numpy_float64 = variant(numpy_port, "NumPy, float64", numpy_port.__all__, DTYPE="float64")
torch_float64 = of_torch("float64", ALL, unchanged, "float64")
torch_bfloat16 = of_torch("bfloat16", ALL, unchanged, "bfloat16")
torch_float16 = of_torch("float16", ALL, unchanged, "float16")
torch_folded = of_torch("folded", INFERENCE, fold)
torch_packed = of_torch("folded and packed", INFERENCE, packed)
torch_packed_bfloat16 = of_torch("folded and packed, bfloat16", INFERENCE, packed, "bfloat16")
torch_compiled = of_torch("compiled", ("forward", "gradients"), compiled, **COMPILED)
torch_folded_compiled = of_torch("folded and compiled", ("forward",), folded_compiled, **COMPILED)
