"""The PyTorch model with a way in from files and a way out to them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Self

import torch

from timesformer_ref.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from timesformer_ref.torch_blocks import model


class TimeSformer(model.TimeSformer):
    """A video transformer (see `timesformer_ref.torch_blocks.model.TimeSformer`)."""

    @classmethod
    def from_pretrained(
        cls,
        source: str | PathLike[str],
        *,
        num_frames: int | None = None,
        image_size: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The model of a checkpoint file, a Hugging Face folder or a hub id, ready to classify.

        num_frames, image_size: another clip length or frame size (pixels) than the file's, for
        training on; a clip of any size is taken without.
        Raises CheckpointError (see `load_checkpoint`).
        """
        checkpoint = load_checkpoint(source, num_frames=num_frames, image_size=image_size)
        return cls.from_checkpoint(checkpoint, device=device, dtype=dtype)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The model of a checkpoint in memory, whose weights it shares where the type is theirs."""
        with torch.device("meta"):
            timesformer = cls(checkpoint.config)
        weights = {name: w.to(device, dtype) for name, w in checkpoint.weights.items()}
        timesformer.load_state_dict(weights, assign=True)
        return timesformer.eval()

    def save_pretrained(self, target: str | PathLike[str]) -> Path:
        """Write the weights in the form that the target's name tells (see `save_checkpoint`)."""
        weights = {name: w.detach().cpu() for name, w in self.state_dict().items()}
        return save_checkpoint(Checkpoint(self.config, weights), target)
