"""How often a model is right, and what it takes for what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from einops import rearrange, reduce
from jaxtyping import Int64
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from timesformer_ref.torch_blocks.model import TimeSformer

Source = Dataset[tuple[Tensor, int]]
"""Videos and their classes by number. To train on, a video is one clip, t c H W, and the numbers
run on through all epochs; to be evaluated, it is its views, v t c H W, and there is a length."""


class Evaluation(NamedTuple):
    """How well the mean logits of each video's views tell its class.

    loss: mean cross-entropy. top1, top5: the part of the videos whose class is the first answer, or
    among the first five. confusion: how many videos of each class (rows) got which first answer.
    """

    loss: float
    top1: float
    top5: float
    confusion: Int64[np.ndarray, "labels labels"]

    @property
    def scores(self) -> dict[str, float]:
        """The numbers among them."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}


def evaluate(
    model: TimeSformer,
    source: Source,
    *,
    accelerator: Accelerator | None = None,
    videos_at_once: int = 1,
    workers: int = 0,
) -> Evaluation:
    """Classify every video of a source; where there are several processes, each its share.

    videos_at_once: on one device. workers: processes that read videos, for each device.
    """
    accelerator = accelerator or Accelerator()
    loader = accelerator.prepare(
        DataLoader(source, videos_at_once * _shares(accelerator), num_workers=workers)
    )
    model.to(accelerator.device).eval()
    answers, labels = [], []
    with torch.inference_mode():
        for views, label in loader:
            clips = rearrange(views, "b v t c h w -> (b v) t c h w")
            logits = reduce(model(clips).logits.float(), "(b v) l -> b l", "mean", b=len(label))
            gathered = accelerator.gather_for_metrics((logits, label))
            answers.append(gathered[0].cpu())
            labels.append(gathered[1].cpu())
    return _evaluation(torch.cat(answers), torch.cat(labels))


def _shares(accelerator: Accelerator) -> int:
    """Into how many parts Accelerate cuts a batch."""
    return accelerator.num_processes if accelerator.split_batches else 1


def _evaluation(logits: Tensor, label: Tensor) -> Evaluation:
    best = logits.topk(min(5, logits.shape[1])).indices
    right = best == label[:, None]
    confusion = np.zeros((logits.shape[1],) * 2, np.int64)
    np.add.at(confusion, (label.numpy(), best[:, 0].numpy()), 1)
    return Evaluation(
        loss=float(F.cross_entropy(logits, label)),
        top1=float(right[:, 0].float().mean()),
        top5=float(right.any(dim=1).float().mean()),
        confusion=confusion,
    )
