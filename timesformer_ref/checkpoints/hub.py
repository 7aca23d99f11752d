"""Download models from the Hugging Face Hub by its own library: cache, progress, offline mode."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.hugging_face import CONFIG, MODEL_FILES, PROCESSORS


def is_hub_id(source: str) -> bool:
    """Whether a name has the form `owner/name` and no ending of a file."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source)) and not re.search(
        r"\.(pyth?|pt|pth|bin|safetensors)$", source
    )


def download(hub_id: str) -> Path:
    """Download a hub model's config and weights, unless cached, and return their folder.

    Raises CheckpointError for an unknown model, one without weights, and without a connection.
    """
    for name in MODEL_FILES:
        stem, ending = name.split(".")
        wanted = [CONFIG, *PROCESSORS, name, f"{name}.index.json", f"{stem}-*.{ending}"]
        folder = _fetch(hub_id, wanted)
        if (folder / name).exists() or (folder / f"{name}.index.json").exists():
            return folder
    raise CheckpointError(f"{hub_id}: the hub's model has no {' nor '.join(MODEL_FILES)}")


def _fetch(hub_id: str, wanted: list[str]) -> Path:
    """Download those of these files that the latest commit has, and return their folder."""
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id}: no such file or folder here, not whole in the hub's cache, and the hub "
            "cannot be reached (no connection, or HF_HUB_OFFLINE is set)"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id}: no such file or folder here, no such model on the hub (or a private one)"
        ) from error
    except Exception as error:  # the library lets errors of its HTTP client through
        raise CheckpointError(f"{hub_id}: cannot be fetched ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
