"""Who takes part in a benchmark: everyone on the same weights and the same clips."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from timesformer_ref.benchmark.products import products
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.hugging_face import config_json, rename_to_hugging_face
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.fold import fold
from timesformer_ref.inference.pack import can_pack, pack
from timesformer_ref.initialise import random_weights
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.pretrained import TimeSformer
from timesformer_ref.training.checkpointing import checkpoint_blocks

Run = Callable[[], np.ndarray | None]
"""Runs the clips through once; returns what all runs must agree on, if anything."""

PEER = "transformers (eager)"
"""Ratios compare with this one's time: `TimesformerForVideoClassification` as its users run it."""
FLOOR = "matrix products alone"


@dataclass(frozen=True)
class Case:
    """What is timed.

    compiled: also what `torch.compile` makes of the models, which takes minutes.
    with_numpy: let NumPy take part where it can, with float32 on a CPU.
    train: time a training step (forward, backward, AdamW) instead of a forward pass.
    checkpointing: in training, compute activations again instead of keeping them.
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
        """Random weights, of which none is zero."""
        weights = random_weights(self.config, seed=0)
        return Checkpoint(self.config, {name: torch.from_numpy(w) for name, w in weights.items()})


def runners(case: Case) -> dict[str, Run]:
    """Everyone by name, on the same weights; the peer first, the floor last."""
    checkpoint = case.checkpoint()
    make = training_step if case.train else forward_pass
    runs = {name: make(model, case) for name, model in models(checkpoint, case).items()}
    if case.with_numpy and not case.train and case.dtype == torch.float32 and case.device == "cpu":
        weights = checkpoint.arrays()
        runs["timesformer_ref (NumPy)"] = lambda: forward(case.clips, weights, case.config).logits
    if not case.train:
        runs[FLOOR] = products(case.config, case.dtype, case.device, case.batch)
    return runs


def models(checkpoint: Checkpoint, case: Case) -> dict[str, nn.Module]:
    """The PyTorch models that take part."""
    ours = TimeSformer.from_checkpoint(checkpoint, dtype=case.dtype, device=case.device)
    found: dict[str, nn.Module] = {PEER: transformers_model(checkpoint, case)}
    if "TIMESFORMER_ORIGINAL" in os.environ:
        found["the original"] = original_model(checkpoint, case)
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
    """What `torch.compile` makes of a model for clips of one shape; on a GPU as one CUDA graph."""
    options: dict[str, Any] = {} if case.device == "cpu" else {"mode": "reduce-overhead"}
    model.compile(dynamic=False, **options)
    return model


def transformers_model(checkpoint: Checkpoint, case: Case) -> nn.Module:
    """The peer's model, of the extra `peers`."""
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    config = replace(checkpoint.config, drop_path_rate=0.0)
    model = TimesformerForVideoClassification(TimesformerConfig(**config_json(config, None)))
    model.load_state_dict(rename_to_hugging_face(checkpoint.weights, config))
    if case.train and case.checkpointing:
        renamed = getattr(model, "activation_checkpointing_enable", None)  # since 5.2x
        (renamed or model.gradient_checkpointing_enable)()
    prepared: nn.Module = nn.Module.to(model, case.device, case.dtype)
    return prepared.eval()


def original_model(checkpoint: Checkpoint, case: Case) -> nn.Module:
    """The original's, from the checkout of its repository that TIMESFORMER_ORIGINAL names."""
    from spec_tests.ports import original_port

    class ChannelsFirst(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, video: torch.Tensor) -> Any:
            return self.model(video.transpose(1, 2))

    weights = {name: w.numpy() for name, w in checkpoint.weights.items()}
    model: nn.Module = original_port.load(weights, checkpoint.config)  # type: ignore[no-untyped-call]
    return ChannelsFirst(model).to(case.device, case.dtype)


def logits(answer: Any) -> torch.Tensor:
    """The original returns logits themselves, the others something that holds them."""
    found: torch.Tensor = answer if isinstance(answer, torch.Tensor) else answer.logits
    return found


def forward_pass(model: nn.Module, case: Case) -> Run:
    """Classify the clips."""
    video = torch.from_numpy(case.clips).to(case.device, case.dtype)
    model.requires_grad_(False)

    @torch.inference_mode()
    def run() -> np.ndarray:
        answer: np.ndarray = logits(model(video)).float().cpu().numpy()
        return answer

    return run


def training_step(model: nn.Module, case: Case) -> Run:
    """Forward, backward and AdamW on the clips, every label the first; what is alike is the loss.

    The learning rate is 0, so that all steps are steps of the same model.
    """
    video = torch.from_numpy(case.clips).to(case.device, case.dtype)
    labels = torch.zeros(case.batch, dtype=torch.long, device=case.device)
    model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)

    def run() -> np.ndarray:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(logits(model(video)).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return np.array(loss.item())

    return run
