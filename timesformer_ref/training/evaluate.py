"""Evaluate a model: accuracy, loss and confusion matrix."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from einops import rearrange, reduce
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.training.state import RunError

Source = Dataset[tuple[Tensor, int]]
"""Videos and their classes by number. For training, a video is one clip, t c H W, and the numbers
continue through all epochs; for evaluation, it is its views, v t c H W, and there is a length."""

NO_CLASS = -1
"""The class of what could not be read: it is left out of the scores."""


class Evaluation(NamedTuple):
    """How well the mean logits of each video's views predict its class.

    loss: mean cross-entropy. top1, top5: the fraction of the videos whose class is the most
    probable, or among the five most probable.
    confusion: how many videos of each class (rows) are predicted as each class (columns).
    labels, probabilities: the class of each video, `NO_CLASS` where it could not be read, and the
        probability of every class.
    """

    loss: float
    top1: float
    top5: float
    confusion: Int64[np.ndarray, "labels labels"]
    labels: Int64[np.ndarray, " videos"]
    probabilities: Float32[np.ndarray, "videos labels"]

    def __str__(self) -> str:
        return say_scores(self.scores, len(self.confusion))

    def confusions(self, most: int) -> list[tuple[int, int, int]]:
        """The most frequent errors: number of videos, their class, and the class predicted."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        found = [(int(wrong[i, j]), int(i), int(j)) for i, j in zip(*wrong.nonzero(), strict=True)]
        return sorted(found, reverse=True)[:most]

    @property
    def scores(self) -> dict[str, float]:
        """Loss, top-1 and top-5 by name."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}


def say_scores(scores: Mapping[str, float], labels: int) -> str:
    """Scores in words; top-5 only where there are more than five classes."""
    top5 = f"top-5 {100 * scores['top5']:.1f} %, " if labels > 5 else ""
    return f"top-1 {100 * scores['top1']:.1f} %, {top5}loss {scores['loss']:.3f}"


def evaluate(
    model: TimeSformer,
    source: Source,
    accelerator: Accelerator | None = None,
    videos_at_once: int = 1,
    workers: int = 0,
    progress: Callable[[int], None] = lambda videos: None,
) -> Evaluation:
    """Classify every video of a source; several processes share them.

    videos_at_once: on one device. workers: processes that read videos, for each device.
    progress: called with the number of videos just done.

    Raises RunError where several processes would each classify all videos.
    """
    accelerator = accelerator or Accelerator()
    check_together(accelerator)
    # where Accelerate cuts batches, each device takes its part of one
    parts = accelerator.num_processes if accelerator.split_batches else 1
    loader = accelerator.prepare(DataLoader(source, videos_at_once * parts, num_workers=workers))
    model.to(accelerator.device).eval()
    answers, labels = [], []
    with torch.inference_mode():
        for views, label in loader:
            clips = rearrange(views, "b v t c h w -> (b v) t c h w")
            logits = reduce(model(clips).logits.float(), "(b v) l -> b l", "mean", b=len(label))
            gathered = accelerator.gather_for_metrics((logits, label))
            answers.append(gathered[0].cpu())
            labels.append(gathered[1].cpu())
            progress(len(labels[-1]))
    return _evaluation(torch.cat(answers), torch.cat(labels))


def check_together(accelerator: Accelerator) -> None:
    """Raises RunError where several processes were started but not connected."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != started:
        raise RunError(
            f"{started} processes were started, but each would work alone: "
            "where there are no GPUs, set ACCELERATE_USE_CPU=true"
        )


def _evaluation(all_logits: Tensor, labels: Tensor) -> Evaluation:
    logits, label = all_logits[labels != NO_CLASS], labels[labels != NO_CLASS]
    best = logits.topk(min(5, logits.shape[1])).indices
    right = best == label[:, None]
    confusion = np.zeros((logits.shape[1],) * 2, np.int64)
    np.add.at(confusion, (label.numpy(), best[:, 0].numpy()), 1)
    return Evaluation(
        loss=float(F.cross_entropy(logits, label)),
        top1=float(right[:, 0].float().mean()),
        top5=float(right.any(dim=1).float().mean()),
        confusion=confusion,
        labels=labels.numpy(),
        probabilities=all_logits.softmax(dim=1).numpy(),
    )
