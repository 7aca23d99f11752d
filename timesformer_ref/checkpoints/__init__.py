"""Read and write checkpoints: files, Hugging Face folders and hub models."""

from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError, CheckpointWarning
from timesformer_ref.checkpoints.reading import load_checkpoint
from timesformer_ref.checkpoints.writing import save_checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "CheckpointWarning",
    "load_checkpoint",
    "save_checkpoint",
]
