"""The metadata of a model beside its tensors, and the note that holds it in files we write."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError, warn
from timesformer_ref.config import shown
from timesformer_ref.input.preprocessing import RULES

KEY = "timesformer_ref"
"""The key of our note: beside `model_state`, in safetensors' metadata, in a processor's config."""


class Metadata(NamedTuple):
    """What a file states of a model beside its weights.

    config: fields of `TimeSformerConfig`; preprocessing: fields of `Preprocessing`.
    """

    config: Mapping[str, Any]
    labels: tuple[str, ...] | None
    preprocessing: dict[str, Any]


MOST_JSON = 2**24
"""The most bytes of JSON that are read; objects take thirty times as many."""


def write_note(checkpoint: Checkpoint) -> str:
    """Everything in a checkpoint but its weights, as JSON."""
    rest = {"labels": checkpoint.labels, "preprocessing": checkpoint.preprocessing}
    return json.dumps({"config": asdict(checkpoint.config), **rest})


def read_note(path: object, note: object) -> Metadata:
    """What `write_note` wrote. Raises CheckpointError for anything else."""
    try:
        if len(note) > MOST_JSON:  # type: ignore[arg-type]
            raise ValueError("too long")
        stated = json.loads(note)  # type: ignore[arg-type]
        config, labels, preprocessing = stated["config"], stated["labels"], stated["preprocessing"]
        return Metadata(
            dict(config),
            None if labels is None else tuple(map(str, labels)),
            known_preprocessing(path, dict(preprocessing)),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its note {KEY} is not one that this project writes: {error!r}"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises CheckpointError for anything else."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise CheckpointError(f"{path}: has more than {MOST_JSON:,} bytes, which is no config")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected an object")
    return content


def known_preprocessing(path: object, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The stated fields of `Preprocessing`; impossible values are left out with a warning."""
    known = {}
    for name, (possible, expected) in RULES.items():
        if name not in stated:
            continue
        value = tuple(stated[name]) if isinstance(stated[name], list) else stated[name]
        if possible(value):
            known[name] = value
        else:
            warn(f"{path}: states {name} {shown(value)}, expected {expected}: not used")
    return known
