"""What a file tells of a model beside its tensors, and the note that says it in files we write."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from timesformer_ref.checkpoints.checkpoint import Checkpoint, CheckpointError, CheckpointWarning
from timesformer_ref.input.preprocessing import RULES

KEY = "timesformer_ref"
"""Where our note lies: beside `model_state`, in safetensors' metadata, in a processor's config."""


class Metadata(NamedTuple):
    """What is known of a model beside its weights.

    config: fields of `TimeSformerConfig`; preprocessing: fields of `Preprocessing`.
    """

    config: Mapping[str, Any]
    labels: tuple[str, ...] | None
    preprocessing: dict[str, Any]


NO_METADATA = Metadata({}, None, {})


def write_note(checkpoint: Checkpoint) -> str:
    """All of a checkpoint but its weights, as JSON."""
    return json.dumps(
        {
            "config": asdict(checkpoint.config),
            "labels": checkpoint.labels,
            "preprocessing": checkpoint.preprocessing,
        }
    )


def read_note(path: object, note: object) -> Metadata:
    """What `write_note` wrote. Raises CheckpointError for anything else."""
    try:
        told = json.loads(note)  # type: ignore[arg-type]
        config, labels, preprocessing = told["config"], told["labels"], told["preprocessing"]
        return Metadata(
            dict(config),
            None if labels is None else tuple(map(str, labels)),
            known_preprocessing(path, dict(preprocessing)),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its note {KEY} is not one that this project writes: {error!r}"
        ) from error


def known_preprocessing(path: object, told: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields of `Preprocessing` that are there; impossible ones are left out, with a word."""
    known = {}
    for name, (possible, expected) in RULES.items():
        if name not in told:
            continue
        value = tuple(told[name]) if isinstance(told[name], list) else told[name]
        if possible(value):
            known[name] = value
        else:
            warnings.warn(
                f"{path}: tells {name} {value!r}, expected {expected}: not used",
                CheckpointWarning,
                stacklevel=2,
            )
    return known
