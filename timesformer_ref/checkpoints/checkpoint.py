"""The contents of a checkpoint, whatever the form of its file."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.endings import Form


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written; names the file, the tensor, what was found."""


class CheckpointWarning(UserWarning):
    """A change or an assumption made in reading or writing a checkpoint."""


def warn(message: str) -> None:
    """Warn with CheckpointWarning."""
    warnings.warn(message, CheckpointWarning, stacklevel=3)


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one model, with its config and metadata.

    weights: tensors by their name in the original's state dict, in the type of the file; NumPy
        arrays become tensors.
    labels: the name of each class, if the file has them.
    preprocessing: those fields of `Preprocessing` that the file itself states.
    form: the form of its file.
    """

    config: TimeSformerConfig
    weights: Mapping[str, Tensor]
    labels: tuple[str, ...] | None = None
    preprocessing: dict[str, Any] = field(default_factory=dict)
    form: Form = "original"

    def __post_init__(self) -> None:
        tensors = {
            name: torch.from_numpy(w) if isinstance(w, np.ndarray) else w.resolve_neg()
            for name, w in self.weights.items()
        }
        object.__setattr__(self, "weights", tensors)

    def arrays(self, dtype: type[np.floating[Any]] = np.float32) -> dict[str, np.ndarray]:
        """The weights as NumPy arrays; those already of that type share the tensors' memory."""
        plain = {name: weight.detach().cpu() for name, weight in self.weights.items()}
        return {
            name: (w.double() if w.dtype == torch.bfloat16 else w).numpy().astype(dtype, copy=False)
            for name, w in plain.items()
        }
