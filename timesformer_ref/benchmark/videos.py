"""Time from video files to logits: this project and the usual loop of the peer's users."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch

from timesformer_ref.benchmark.runners import Case, Runner, transformers_model
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices
from timesformer_ref.input.survey import survey
from timesformer_ref.use.classify import Classifier
from timesformer_ref.use.prefetch import prefetch

RATE = 32
"""Frames are sampled as the smallest published checkpoint expects."""


def video_runners(videos: Sequence[Path], case: Case) -> dict[str, Runner]:
    """Two runners that classify the same frames of every video, one centre crop each.

    They resize in different ways, so that the logits are close but not equal.
    """
    for video in videos:
        survey(video, timed=False)  # raises VideoError where it is none
    checkpoint = case.checkpoint()
    return {
        "PyAV, image processor, transformers": usual_loop(videos, checkpoint, case),
        "timesformer_ref": this_project(videos, checkpoint, case),
    }


def usual_loop(videos: Sequence[Path], checkpoint: Checkpoint, case: Case) -> Runner:
    """A runner that decodes, chooses frames, processes and classifies, one video after another."""
    from transformers import VideoMAEImageProcessor

    side = case.config.image_size
    size, crop = {"shortest_edge": side}, {"height": side, "width": side}
    processor = VideoMAEImageProcessor(
        size=size, crop_size=crop, image_mean=[0.45] * 3, image_std=[0.225] * 3
    )
    model = transformers_model(checkpoint, case)

    @torch.inference_mode()
    def classify(video: Path) -> np.ndarray:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate
            fps = float(stream.average_rate)
            indices = frame_indices(stream.frames, fps, case.config.num_frames, RATE, 0, 1)
            decoded = enumerate(islice(container.decode(video=0), indices[-1] + 1))
            frames = {n: frame.to_ndarray(format="rgb24") for n, frame in decoded if n in indices}
        clip = processor([frames[i] for i in indices], return_tensors="pt")["pixel_values"]
        return model(clip.to(case.device, case.dtype)).logits[0].float().cpu().numpy()

    return lambda: np.stack([classify(video) for video in videos])


def this_project(videos: Sequence[Path], checkpoint: Checkpoint, case: Case) -> Runner:
    """A runner that does what `timesformer-ref classify` does for a folder."""
    frames, side = case.config.num_frames, case.config.image_size
    wanted = Preprocessing(frames, RATE, side, single_crop_scale=side, num_crops=1)
    classifier = Classifier(checkpoint, wanted, device=case.device, dtype=case.dtype)

    def run() -> np.ndarray:
        reads = prefetch(partial(classifier.read, video) for video in videos)
        pairs = zip(videos, reads, strict=True)
        return np.stack([classifier.predict(video, clip.result()).logits for video, clip in pairs])

    return run
