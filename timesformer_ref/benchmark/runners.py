"""The runners of a benchmark, all on the same weights and the same clips."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from timesformer_ref.benchmark.limit import LIMIT, limit
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.hugging_face import config_json, rename_to_hugging_face
from timesformer_ref.checkpoints.initialise import random_weights
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.fold import fold
from timesformer_ref.inference.pack import can_pack, pack
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.training.checkpointing import checkpoint_blocks

Runner = Callable[[], np.ndarray | None]
"""Runs a model on the clips once; returns the values to compare with the peer's, if any."""

PEER = "transformers (eager)"
"""The runner to compare with: `TimesformerForVideoClassification` as its users run it."""


@dataclass(frozen=True)
class Case:
    """A model, its clips, and what to time on them.

    compiled: also time the models compiled by `torch.compile`, which takes minutes.
    with_numpy: also time the NumPy implementation, if the case is float32 on a CPU.
    train: time a training step (forward, backward, AdamW) instead of a forward pass.
    checkpointing: in training, recompute activations instead of keeping them.
    """

    config: TimeSformerConfig
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    batch: int = 1
    compiled: bool = False
    with_numpy: bool = True
    train: bool = False
    checkpointing: bool = False

    @cached_property
    def clips(self) -> np.ndarray:
        """Random clips: b t c H W."""
        c = self.config
        shape = (self.batch, c.num_frames, c.num_channels, c.image_size, c.image_size)
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)

    def checkpoint(self) -> Checkpoint:
        """A checkpoint of random weights, none of them zero."""
        weights = random_weights(self.config, seed=0)
        return Checkpoint(self.config, {name: torch.from_numpy(w) for name, w in weights.items()})


def runners(case: Case) -> dict[str, Runner]:
    """All runners by name, on the same weights; the peer first, the limit last."""
    checkpoint = case.checkpoint()
    make = training_step if case.train else forward_pass
    runs = {name: make(model, case) for name, model in models(checkpoint, case).items()}
    if case.with_numpy and not case.train and case.dtype == torch.float32 and case.device == "cpu":
        weights = checkpoint.arrays()
        runs["timesformer_ref (NumPy)"] = lambda: forward(case.clips, weights, case.config).logits
    if not case.train:
        runs[LIMIT] = limit(case.config, case.dtype, case.device, case.batch)
    return runs


def models(checkpoint: Checkpoint, case: Case) -> dict[str, nn.Module]:
    """The PyTorch models to time, by name."""
    ours = TimeSformer.from_checkpoint(checkpoint, dtype=case.dtype, device=case.device)
    found: dict[str, nn.Module] = {PEER: transformers_model(checkpoint, case)}
    if case.compiled:
        found["transformers (compiled)"] = compiled(transformers_model(checkpoint, case), case)
    found["timesformer_ref (PyTorch)"] = ours
    if case.train:
        if case.checkpointing:
            checkpoint_blocks(ours)
        return found
    found["timesformer_ref (folded)"] = fold(ours)
    if case.compiled:
        found["timesformer_ref (folded, compiled)"] = compiled(fold(ours), case)
    if can_pack(ours):
        found["timesformer_ref (folded, packed)"] = pack(fold(ours))
    return found


def compiled(model: nn.Module, case: Case) -> nn.Module:
    """Compile a model with `torch.compile` for clips of one shape; on a GPU as one CUDA graph."""
    model.compile(dynamic=False, mode=None if case.device == "cpu" else "reduce-overhead")
    return model


def transformers_model(checkpoint: Checkpoint, case: Case) -> nn.Module:
    """The peer's model; needs the extra `peers`."""
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    config = replace(checkpoint.config, drop_path_rate=0.0)
    model = TimesformerForVideoClassification(TimesformerConfig(**config_json(config, None)))
    model.load_state_dict(rename_to_hugging_face(checkpoint.weights, config))
    if case.train and case.checkpointing:
        renamed = getattr(model, "activation_checkpointing_enable", None)  # since 5.2x
        (renamed or model.gradient_checkpointing_enable)()
    prepared: nn.Module = nn.Module.to(model, case.device, case.dtype)
    return prepared.eval()


def forward_pass(model: nn.Module, case: Case) -> Runner:
    """A runner that classifies the clips."""
    video = torch.from_numpy(case.clips).to(case.device, case.dtype)
    model.requires_grad_(False)

    @torch.inference_mode()
    def run() -> np.ndarray:
        answer: np.ndarray = model(video).logits.float().cpu().numpy()
        return answer

    return run


def training_step(model: nn.Module, case: Case) -> Runner:
    """A runner of training steps: forward, backward, AdamW; every label is 0. It returns the loss.

    The learning rate is 0, so that every step times the same weights.
    """
    video = torch.from_numpy(case.clips).to(case.device, case.dtype)
    labels = torch.zeros(case.batch, dtype=torch.long, device=case.device)
    model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)

    def run() -> np.ndarray:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(video).logits.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return np.array(loss.item())

    return run
