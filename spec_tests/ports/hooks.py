"""Hooks by which a port reaches the parts of a PyTorch model without rewriting any of it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


class Reached(Exception):
    """Ends a forward pass at the wanted module; holds the tokens that entered it."""


def entering(place: nn.Module, run: Callable[[], object]) -> torch.Tensor:
    """The tokens that enter the module `place` when `run` runs the model, which ends there."""

    def stop(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        raise Reached(args[0])

    try:
        with place.register_forward_pre_hook(stop):
            run()
    except Reached as reached:
        return reached.args[0]
    raise AssertionError("the model does not reach that module")


def leaving(place: nn.Module, tokens: object) -> RemovableHandle:
    """Make the module return these tokens, whatever enters it."""
    return place.register_forward_hook(lambda *_: tokens)


@contextmanager
def silent(modules: Iterable[nn.Module]) -> Iterator[None]:
    """In this context the modules return zeros of the shape of their usual result."""
    with ExitStack() as stack:
        for module in modules:
            zeros = module.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
            stack.enter_context(zeros)
        yield
