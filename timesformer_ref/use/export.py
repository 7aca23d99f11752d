"""Export a model as one file for other runtimes: ONNX, or PyTorch's own export format."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from timesformer_ref.atomic import check_target, whole_file
from timesformer_ref.checkpoints import Checkpoint
from timesformer_ref.checkpoints.notes import KEY, write_note
from timesformer_ref.endings import EXPORTS
from timesformer_ref.inference.fast import FastTimeSformer
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.torch_blocks.model import TimeSformer

Shape = tuple[int, int, int, int]
"""The shape of a clip: t c H W."""

ONNX_TYPES = {"float32": torch.float32, "float16": torch.float16}
"""The types of an ONNX file: on a CPU onnxruntime computes no convolution of others."""
ONNX_BYTES = 1536 * 2**20
"""Most bytes of weights in one ONNX file: its format ends at 2 GB, and PyTorch splits it before."""


class Logits(nn.Module):
    """A model that returns nothing but logits."""

    def __init__(self, model: TimeSformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor) -> Float[Tensor, "b labels"]:
        """The logits of clips, of the type that the model takes."""
        return self.model(video).logits


def metadata(checkpoint: Checkpoint, preprocessing: Preprocessing, pixels: bool) -> str:
    """A file's metadata. pixels: whether normalisation is part of the model, and so left out."""
    kept = asdict(preprocessing)
    if pixels:
        del kept["mean"], kept["std"]
    return write_note(replace(checkpoint, preprocessing=kept))


def export_program(model: TimeSformer, shape: Shape, clips: int | None = None) -> ExportedProgram:
    """Trace what the model computes for clips of one shape, as a graph without Python.

    clips: size of the batch; None for any. Every other size is fixed: where a clip is
        not of the trained sizes, the resize of the embeddings becomes part of the graph.
    Raises ValueError for a clip that the model cannot take, and for a model in training mode,
    whose dropout would be exported too.
    """
    if model.training:
        raise ValueError("the model is in training mode, with its dropout: call eval() before")
    # PyTorch takes a size of 1 for a constant, so any number of clips is traced with two
    video = example(model, shape, clips or 2)
    model.config.clip_grid(tuple(video.shape))
    free = None if clips else {"video": {0: Dim("batch")}}
    with torch.no_grad(), quiet():
        return torch.export.export(Logits(model), (video,), dynamic_shapes=free, strict=False)


def example(model: TimeSformer, shape: Shape, clips: int = 1) -> Tensor:
    """Random clips, b t c H W, of the type that the model takes: uint8 pixels, or normalised."""
    chance = torch.Generator().manual_seed(0)
    if isinstance(model, FastTimeSformer) and model.takes_pixels:
        video = torch.randint(256, (clips, *shape), generator=chance, dtype=torch.uint8)
        return video.to(model.cls_token.device)
    return torch.randn(clips, *shape, generator=chance).to(model.cls_token)


def write_model(
    model: TimeSformer, shape: Shape, target: Path, *, clips: int | None = None, note: str = "{}"
) -> None:
    """Export a model (see `export_program`) to a file, in the format that its name's ending means.

    An ONNX file has the input `video` and the output `logits`.
    note: metadata to store in the file, as `write_note` makes it of a checkpoint.
    Raises ValueError as `export_program` does, for another ending, and for a model that ONNX cannot
    hold; OSError where the file cannot be written.
    """
    check_target(target, EXPORTS)
    if target.suffix == ".pt2":
        program = export_program(model, shape, clips)
        content = BytesIO()  # PyTorch ends the process where it cannot write to an open file
        torch.export.save(program, content, extra_files={KEY: note})
        with whole_file(target) as unfinished:
            unfinished.write_bytes(content.getbuffer())
    else:
        _check_onnx(model, target)
        _write_onnx(export_program(model, shape, clips), target, note, fixed=clips is not None)


def _check_onnx(model: TimeSformer, target: Path) -> None:
    if model.cls_token.dtype not in ONNX_TYPES.values():
        name = str(model.cls_token.dtype).removeprefix("torch.")
        raise ValueError(
            f"{target}: {name} does not run as ONNX everywhere: use {' or '.join(ONNX_TYPES)}, "
            "or write .pt2"
        )
    if sum(w.nbytes for w in model.parameters()) > ONNX_BYTES:
        raise ValueError(f"{target}: too large for one ONNX file: use float16, or write .pt2")


def _write_onnx(program: ExportedProgram, target: Path, note: str, fixed: bool) -> None:
    with quiet():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=["video"],
            output_names=["logits"],
            dynamic_shapes=None if fixed else {"video": {0: "batch"}},
        )
    assert exported is not None
    exported.model.metadata_props[KEY] = note
    with whole_file(target) as unfinished:
        exported.save(unfinished)


def run_file(target: Path, video: Tensor) -> tuple[Float[Tensor, "b labels"], str]:
    """Run an exported file on clips: its logits, and what ran it (onnxruntime or PyTorch).

    Raises ModuleNotFoundError where onnxruntime is needed and not installed.
    """
    if target.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"video": video.cpu().numpy()})
        return torch.from_numpy(logits), f"onnxruntime {onnxruntime.__version__}"
    with torch.no_grad():
        return torch.export.load(target).module()(video), f"PyTorch {torch.__version__}"


def compare(
    target: Path, model: TimeSformer, video: Tensor, preprocessing: Preprocessing
) -> tuple[float, str]:
    """How far a file's logits of clips are from the model's, as a part of the largest logit.

    video: what the file takes, pixels or normalised clips. Also returns what ran it (`run_file`).
    """
    found, runner = run_file(target, video)
    clip = video.float()
    if not video.is_floating_point():
        mean, std = torch.tensor([preprocessing.mean, preprocessing.std])[..., None, None]
        clip = (clip / 255 - mean) / std
    with torch.inference_mode():
        expected = model(clip).logits
    return float((found - expected).abs().max() / expected.abs().max()), runner


@contextmanager
def quiet() -> Iterator[None]:
    """Silence PyTorch's warnings and log messages about the export."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)
