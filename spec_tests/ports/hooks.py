"""How a port asks a PyTorch model of others about its parts, writing none of the model itself."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


class Reached(Exception):
    """The run came to the place that was asked about; holds the tokens."""


def entering(place: nn.Module, run: Callable[[], object]) -> torch.Tensor:
    """The tokens that enter a module when the model runs; the run ends there."""

    def stop(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        raise Reached(args[0])

    try:
        with place.register_forward_pre_hook(stop):
            run()
    except Reached as reached:
        return reached.args[0]
    raise AssertionError("the model does not come to that place")


def leaving(place: nn.Module, tokens: object) -> RemovableHandle:
    """Whatever enters the module, these leave it."""
    return place.register_forward_hook(lambda *_: tokens)


@contextmanager
def silent(modules: Iterable[nn.Module]) -> Iterator[None]:
    """These modules return zeros in the shape of what they would have returned."""
    with ExitStack() as stack:
        for module in modules:
            zeros = module.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
            stack.enter_context(zeros)
        yield
