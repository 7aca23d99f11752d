"""The runners of a benchmark, all on the same weights and the same clips."""

from collections.abc import Callable
from dataclasses import dataclass
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
from timesformer_ref.inference.pack import can_pack, fastest, pack, packing_pays
from timesformer_ref.numpy_blocks.model import forward

Runner = Callable[[], np.ndarray | None]
"""Runs a model on the clips once; returns the values to compare with the peer's, if any."""

FOLDED, PACKED = "timesformer_ref (folded)", "timesformer_ref (folded, packed)"
PEER = "transformers (eager)"
"""The runner to compare with: `TimesformerForVideoClassification` as its users run it."""


@dataclass(frozen=True)
class Case:
    """A model, its clips, and what to time on them.

    compiled: also time the models compiled by `torch.compile`, which takes minutes.
    fastest_only: of this project, time the form alone that `classify` takes.
    train: time a training step (forward, backward, AdamW) instead of a forward pass.
    """

    config: TimeSformerConfig
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    batch: int = 1
    compiled: bool = False
    fastest_only: bool = False
    train: bool = False

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
    if not (case.fastest_only or case.train or case.device != "cpu" or case.dtype != torch.float32):
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
    if case.fastest_only and not case.train:
        return found | {taken(case): fastest(ours)}
    found["timesformer_ref (PyTorch)"] = ours
    if case.train:
        if case.compiled:
            own = TimeSformer.from_checkpoint(checkpoint, dtype=case.dtype, device=case.device)
            found["timesformer_ref (compiled)"] = compiled(own, case)
        return found
    found[FOLDED] = fold(ours)
    if case.compiled:
        found["timesformer_ref (folded, compiled)"] = compiled(fold(ours), case)
    if can_pack(ours):
        found[PACKED] = pack(fold(ours))
    return found


def taken(case: Case) -> str:
    """The name of the form that `classify` takes here: see `fastest`."""
    return PACKED if packing_pays(case.device, case.dtype) else FOLDED


def compiled(model: nn.Module, case: Case) -> nn.Module:
    """Compile a model with `torch.compile` for clips of one shape; on a GPU as one CUDA graph."""
    model.compile(dynamic=False, mode=None if case.device == "cpu" else "reduce-overhead")
    return model


def transformers_model(checkpoint: Checkpoint, case: Case) -> nn.Module:
    """The peer's model; needs the extra `peers`."""
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    config = TimesformerConfig(**config_json(checkpoint.config, None))
    model: nn.Module = TimesformerForVideoClassification(config)
    model.load_state_dict(rename_to_hugging_face(checkpoint.weights, checkpoint.config))
    return model.to(case.device, case.dtype).eval()


def forward_pass(model: nn.Module, case: Case) -> Runner:
    """A runner that classifies the clips."""
    video = torch.from_numpy(case.clips).to(case.device, case.dtype)
    model.requires_grad_(False)

    @torch.inference_mode()
    def run() -> np.ndarray:
        return model(video).logits.float().cpu().numpy()

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
