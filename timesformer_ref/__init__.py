"""The executable specification of TimeSformer, a video transformer (arXiv 2102.05095).

    import torch

    from timesformer_ref import TimeSformer, choose_preprocessing, read_clip

    model = TimeSformer.from_pretrained("facebook/timesformer-base-finetuned-k400")
    clip = read_clip("video.mp4", choose_preprocessing(model))
    logits = model(torch.from_numpy(clip.video)).logits

`timesformer_ref.numpy_blocks` is the specification, to be read; `timesformer_ref.torch_blocks` the
same model for GPUs, which `TimeSformer` here is, with methods to load and save it. Also here, each
with help of its own: `forward` and `encode` (NumPy), `TimeSformerConfig`, `Preprocessing`, `Clip`,
`VideoError`, `Checkpoint`, `CheckpointError`, `load_checkpoint` and `save_checkpoint`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from timesformer_ref.checkpoints import Checkpoint as Checkpoint
    from timesformer_ref.checkpoints import CheckpointError as CheckpointError
    from timesformer_ref.checkpoints import load_checkpoint as load_checkpoint
    from timesformer_ref.checkpoints import save_checkpoint as save_checkpoint
    from timesformer_ref.checkpoints.choosing import choose_preprocessing as choose_preprocessing
    from timesformer_ref.checkpoints.pretrained import TimeSformer as TimeSformer
    from timesformer_ref.config import TimeSformerConfig as TimeSformerConfig
    from timesformer_ref.input.decoding import VideoError as VideoError
    from timesformer_ref.input.preprocessing import Preprocessing as Preprocessing
    from timesformer_ref.input.video import Clip as Clip
    from timesformer_ref.input.video import read_clip as read_clip
    from timesformer_ref.numpy_blocks.model import encode as encode
    from timesformer_ref.numpy_blocks.model import forward as forward

_HOME = {
    "Checkpoint": "checkpoints", "CheckpointError": "checkpoints", "Clip": "input.video",
    "Preprocessing": "input.preprocessing", "TimeSformer": "checkpoints.pretrained",
    "TimeSformerConfig": "config", "VideoError": "input.decoding",
    "choose_preprocessing": "checkpoints.choosing", "encode": "numpy_blocks.model",
    "forward": "numpy_blocks.model",
    "load_checkpoint": "checkpoints", "read_clip": "input.video", "save_checkpoint": "checkpoints",
}  # fmt: skip

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:  # so that reading the NumPy blocks does not import PyTorch
    if name == "__version__":
        from importlib.metadata import version

        return version("timesformer-ref")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
