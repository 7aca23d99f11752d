"""The saved state of a run, from which it can be resumed: one file, written atomically."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from timesformer_ref.atomic import whole_file

VIDEO_LISTS = ("videos", "validation")
"""Settings that list videos with their classes."""
KEY = "timesformer_ref_run"
"""The key, in the file's metadata, of all that is not a tensor."""


class RunError(Exception):
    """A run that cannot start or continue; names the file or the step, and what would be right."""


@dataclass
class History:
    """The losses and validation scores of a run so far.

    losses: of each step, the mean over all of its clips. scores: of each evaluation, by the number
    of steps done before it.
    """

    losses: list[float] = field(default_factory=list)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def best(self) -> int | None:
        """The number of steps done at the best validation: of the highest top-1, the least loss."""
        rank = {step: (scores["top1"], -scores["loss"]) for step, scores in self.scores.items()}
        return max(rank, key=rank.__getitem__, default=None)


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    history: History,
    settings: Mapping[str, Any],
) -> None:
    """Save a run as tensors by name and JSON; nothing in the file is ever executed.

    Raises OSError where it cannot be written.
    """
    tensors = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    names = [name for name, _ in model.named_parameters()]
    for i, kept in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{key}.{names[i]}": t for key, t in kept.items() if t is not None}
    tensors["losses"] = torch.tensor(history.losses, dtype=torch.float64)
    scale = scaler.state_dict() if scaler else {}
    rest = {"settings": settings, "scores": history.scores, "scaler": scale}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as unfinished:
        save_file(plain, unfinished, {KEY: json.dumps(rest)})


def load_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    settings: Mapping[str, Any],
) -> History:
    """Restore a run to where it was saved, and return its history.

    Raises RunError for another file, and for a run with other settings.
    """
    tensors, rest = _read(path)
    if found := next(_differences(rest["settings"], json.loads(json.dumps(settings))), None):
        raise RunError(
            f"{path}: this run has {found}: "
            "resume it with its own settings, or start another run in another folder"
        )
    model.load_state_dict(_under("model.", tensors))
    if scaler and rest["scaler"]:
        scaler.load_state_dict(rest["scaler"])
    places = {name: i for i, (name, _) in enumerate(model.named_parameters())}
    kept: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        key, parameter = name.split(".", 1)
        kept.setdefault(places[parameter], {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": kept, "param_groups": groups})
    scores = {int(step): scores for step, scores in rest["scores"].items()}
    return History(tensors["losses"].tolist(), scores)


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a saved run. Raises RunError for another file."""
    settings: dict[str, Any] = _read(path)[1]["settings"]
    return settings


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()[KEY])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: is not the saved state of a run ({error!r})") from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _differences(saved: Any, asked: Any, name: str = "") -> Iterator[str]:
    """What differs between two JSON values, innermost: `seed 0, not 1`."""
    if isinstance(saved, dict) and isinstance(asked, dict):
        for key in {**saved, **asked}:
            yield from _differences(saved.get(key), asked.get(key), f"{name} {key}".strip())
    elif isinstance(saved, list) and isinstance(asked, list) and name in VIDEO_LISTS:
        had, has = ({tuple(video) for video in videos} for videos in (saved, asked))
        yield from (f"in {name} {path} of class {label}, not now" for path, label in had - has)
        yield from (f"no {path} of class {label} in {name}" for path, label in has - had)
        if had == has and saved != asked:
            yield f"{name} in another order"
    elif saved != asked:
        yield f"{name} {saved}, not {asked}"
