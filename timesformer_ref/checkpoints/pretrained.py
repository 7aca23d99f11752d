"""The PyTorch model with methods that load and save it."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from timesformer_ref.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from timesformer_ref.torch_blocks import model


class TimeSformer(model.TimeSformer):
    """The PyTorch model, `torch_blocks.model.TimeSformer`, which can be loaded and saved.

    labels, preprocessing: those that its checkpoint states (see `Checkpoint`).
    """

    labels: tuple[str, ...] | None = None
    preprocessing: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def from_pretrained(
        cls,
        source: str | PathLike[str],
        *,
        num_frames: int | None = None,
        image_size: int | None = None,
        num_attention_heads: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "TimeSformer":
        """The model of a checkpoint file, a Hugging Face folder or a hub id, ready to classify.

        source, num_frames, image_size, num_attention_heads: as for `load_checkpoint`, whose
        CheckpointError it raises. None is needed for clips of another length or size.
        """
        checkpoint = load_checkpoint(
            source,
            num_frames=num_frames,
            image_size=image_size,
            num_attention_heads=num_attention_heads,
        )
        return cls.from_checkpoint(checkpoint, device=device, dtype=dtype)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "TimeSformer":
        """The model of a checkpoint in memory, whose weights it shares where the type is theirs."""
        with torch.device("meta"):
            timesformer = cls(checkpoint.config)
        weights = {name: w.to(device, dtype) for name, w in checkpoint.weights.items()}
        timesformer.load_state_dict(weights, assign=True)
        timesformer.labels, timesformer.preprocessing = checkpoint.labels, checkpoint.preprocessing
        return timesformer.eval()

    def save_pretrained(self, target: str | PathLike[str]) -> Path:
        """Write the model in the form that the target's ending means (see `save_checkpoint`)."""
        weights = {name: w.detach().cpu() for name, w in self.state_dict().items()}
        checkpoint = Checkpoint(self.config, weights, self.labels, dict(self.preprocessing))
        return save_checkpoint(checkpoint, target)
