"""Model folders from the Hugging Face Hub, by its own library: cache, progress, offline mode."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.hugging_face import CONFIG, MODEL_FILES, PREPROCESSOR, shards


def is_hub_id(source: str) -> bool:
    """Whether this reads `owner/name` and not like a file."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source)) and not re.search(
        r"\.(pyth?|pt|pth|bin|safetensors)$", source
    )


def download(hub_id: str) -> Path:
    """The folder in the cache that holds a hub model's config and weights, fetched where needed.

    Raises CheckpointError for an unknown model, one without weights, and without a connection.
    """
    config = _fetch(hub_id, CONFIG)
    if config is None:
        raise CheckpointError(f"{hub_id}: the hub's model has no {CONFIG}")
    _fetch(hub_id, PREPROCESSOR)
    for name in MODEL_FILES:
        if _fetch(hub_id, name):
            return config.parent
        if index := _fetch(hub_id, f"{name}.index.json"):
            for shard in shards(index):
                _fetch(hub_id, shard)
            return config.parent
    raise CheckpointError(f"{hub_id}: the hub's model has no {' nor '.join(MODEL_FILES)}")


def _fetch(hub_id: str, file: str) -> Path | None:
    """One file's path in the cache, or None where the model does not have it."""
    try:
        return Path(hf_hub_download(hub_id, file))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if file != CONFIG:  # the model itself is cached, and without this file
            return None
        raise CheckpointError(
            f"{hub_id}: no such file or folder here, not in the hub's cache, and no connection to "
            "the hub (is HF_HUB_OFFLINE set?)"
        ) from error
    except EntryNotFoundError:
        return None
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{hub_id}: no such file or folder here, no such model on the hub (or a private one)"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise CheckpointError(f"{hub_id}: {str(error).splitlines()[0]}") from error
