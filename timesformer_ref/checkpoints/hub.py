"""Download models from the Hugging Face Hub by its own library: cache, progress, offline mode."""

import hashlib
import os
import re
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from time import monotonic

import huggingface_hub as hf
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, FileMetadataError, LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import tqdm

from timesformer_ref.checkpoints.checkpoint import CheckpointError
from timesformer_ref.checkpoints.hugging_face import CONFIG, MODEL_FILES, PROCESSORS, shards

PATIENCE = 6 * constants.HF_HUB_DOWNLOAD_TIMEOUT
"""Seconds, a minute by default, without 64 kB more, after which a download is given up."""
constants.DOWNLOAD_CHUNK_SIZE = 1 << 16  # not 10 MB, of which a slow line is silent for minutes

LOGIN = "log in with `hf auth login` or set HF_TOKEN"
NO_MODEL = f"no such model on the hub, or a private one: for that, {LOGIN}"
PORTAL = "what answers is not the hub but perhaps a login page of the network: open it in a browser"
CAUSES: dict[str | int, str] = {
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set: unset it to download",
    "GatedRepoError": f"it is gated: accept its terms on its page of the hub, then {LOGIN}",
    "RepositoryNotFoundError": NO_MODEL,
    "RemoteEntryNotFoundError": f"the hub's model has no {CONFIG}",
    401: f"the hub does not accept the login: {LOGIN}",
    403: f"the hub forbids it: ask its owner for access, then {LOGIN}",
    404: NO_MODEL,
    429: f"the hub counts too many requests from here: wait some minutes, or {LOGIN} for more",
    511: PORTAL,
    **dict.fromkeys((500, 502, 503, 504), "the hub has a fault of its own: try again later"),
    "FileMetadataError": f"{PORTAL}, or see where HF_ENDPOINT and the proxy lead",
    "TooManyRedirects": "the hub redirects in circles: see where HF_ENDPOINT and the proxy lead",
    "TimeoutException": "the hub does not answer: try again later, or allow more seconds by "
    "HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT",
    "TimeoutError": f"nearly nothing new came in {PATIENCE} seconds: try again later, or allow "
    "more by HF_HUB_DOWNLOAD_TIMEOUT",
    "ConnectError": "the hub cannot be reached: no connection",
    "TransportError": "the connection broke: try again",
}
"""Why nothing came and what to do, by the status or the class of an error, specific ones first.

The classes go by name, since the library's releases raise those of two HTTP clients.
"""


def download(hub_id: str) -> Path:
    """Download a hub model's config and weights, unless cached, and return their folder.

    Where the hub is silent or refuses, the cache answers if it holds the whole model.
    Raises CheckpointError for a model that is neither there nor cached, with the cause and what to
    do; for one without weights; and for a file that is not what the hub promised.
    """
    try:
        files = _patiently(hub_id)
    except CheckpointError:
        raise
    except Exception as error:
        try:
            files = _files(hub_id, cached=True)
        except LocalEntryNotFoundError:
            raise CheckpointError(
                f"{hub_id}: no such file or folder here, not whole in the hub's cache, and "
                f"{_cause(error)}"
            ) from error
    for file in files:
        _check(hub_id, file)
    return files[0].parent


def _files(hub_id: str, cached: bool = False) -> list[Path]:
    """A model's config, preprocessing and weights, all of one commit.

    cached: take what is in the cache, without asking the hub.
    Raises errors of the library, and CheckpointError for a model without weights.
    """
    if not cached:  # without the library's retries, which take minutes and hide the cause
        url = hf.hf_hub_url(hub_id, CONFIG)
        about = hf.get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        if about.commit_hash is None:
            raise FileMetadataError(f"{url} names no commit")
    fetch = partial(hf.hf_hub_download, hub_id, local_files_only=cached, tqdm_class=_Bar)
    files = [Path(fetch(CONFIG))]
    commit = files[0].parent.name

    def has(name: str) -> bool:
        known = hf.try_to_load_from_cache(hub_id, name, revision=commit)
        if known is not None and not isinstance(known, str):  # known not to exist
            return False
        try:
            files.append(Path(known or fetch(name, revision=commit)))
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError) and not cached:
                raise  # the hub did not say
            return False
        return True

    any(map(has, PROCESSORS))
    for name in MODEL_FILES:
        if has(name):
            return files
        if has(f"{name}.index.json") and (all(map(has, shards(files[-1]))) or not cached):
            return files
    if cached:
        raise LocalEntryNotFoundError(hub_id)
    raise CheckpointError(f"{hub_id}: the hub's model has no {' nor '.join(MODEL_FILES)}")


class _Bar(tqdm):
    """The library's progress bar, which also counts what came that is new.

    Where a connection breaks, the library goes back and begins again, for ever if need be.
    """

    come = 0.0
    here = most = 0.0

    def update(self, n: float | None = 1) -> bool | None:
        self.here += n or 0
        _Bar.come += max(self.here - self.most, 0)
        self.most = max(self.here, self.most)
        return super().update(n)


def _cached_bytes(hub_id: str) -> int:
    """The size of what is cached of a model, also by another process for which this one waits."""
    blobs = Path(constants.HF_HUB_CACHE, f"models--{hub_id.replace('/', '--')}", "blobs")
    sizes = 0
    for blob in blobs.glob("*"):
        with suppress(OSError):  # renamed just now
            sizes += blob.stat().st_size
    return sizes


def _patiently(hub_id: str) -> list[Path]:
    """The files of a download, during which Ctrl-C works.

    Raises TimeoutError once nothing has come for too long. The thread, whose read of a socket
    nothing can interrupt, is then left to itself.
    """
    outcome: Future[list[Path]] = Future()

    def run() -> None:
        try:
            outcome.set_result(_files(hub_id))
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, daemon=True).start()
    most, moved = 0.0, monotonic()
    while not wait([outcome], timeout=0.5).done:
        if (come := _Bar.come + _cached_bytes(hub_id)) > most:
            most, moved = come, monotonic()
        elif monotonic() > moved + PATIENCE:
            raise TimeoutError
    return outcome.result()


def _cause(error: BaseException) -> str:
    """Why a download failed, and what to do."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    said = next(filter(None, str(error).splitlines()), type(error).__name__)
    status = getattr(getattr(error, "response", None), "status_code", None)
    keys = [status, *(kind.__name__ for kind in type(error).__mro__)]
    known = next((CAUSES[key] for key in CAUSES if key in keys), "it cannot be fetched")
    return f"{known} ({said})"


def _check(hub_id: str, file: Path) -> None:
    """Raise CheckpointError for a cached file whose content has not the hash in its blob's name.

    The hub gives large files their SHA-256 and small ones Git's SHA-1, of which a mirror may make a
    plain one. Where a system has no links there is no such name, and nothing is checked.
    """
    promised = Path(os.readlink(file)).name if file.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", promised):
        with file.open("rb") as opened:
            found = [hashlib.file_digest(opened, "sha256").hexdigest()]
    elif re.fullmatch("[0-9a-f]{40}", promised):
        content = file.read_bytes()
        git = b"blob %d\0" % len(content)
        found = [hashlib.sha1(start + content).hexdigest() for start in (git, b"")]
    else:
        return
    if promised not in found:
        raise CheckpointError(
            f"{hub_id}: {file.name} is not what the hub promised, its hash is {found[0]} instead "
            f"of {promised}: delete {file.resolve()} and try again"
        )
