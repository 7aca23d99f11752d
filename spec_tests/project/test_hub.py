"""Models of the Hugging Face Hub, from a server on this machine that imitates it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from spec_tests.project.processes import afresh
from spec_tests.project.tiny import INPUT, LABELS, checkpoint, same_weights
from timesformer_ref.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints.hub import is_hub_id

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def copy(folder, hub_ids):
    """Copy models of the hub into a file of the folder; the errors."""
    os.chdir(folder)
    errors = []
    for hub_id in hub_ids:
        try:
            save_checkpoint(load_checkpoint(hub_id), "copy.pyth")
        except CheckpointError as error:
            errors.append(str(error))
    return errors


@contextmanager
def hub(folder, asked):
    """The few addresses that huggingface_hub needs, for one model; `asked` notes the files sent."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.do_GET()

        def answer(self, body, status=200, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self):
            path = self.path.partition("?")[0]
            if re.fullmatch("/api/models/owner/model/tree/.*", path):
                self.answer(json.dumps([self.entry(p) for p in folder.iterdir()]).encode())
            elif re.fullmatch("/api/models/owner/model(/revision/main)?", path):
                siblings = [{"rfilename": p.name} for p in folder.iterdir()]
                about = {"id": "owner/model", "sha": COMMIT, "siblings": siblings}
                self.answer(json.dumps(about).encode())
            elif file := re.fullmatch("/owner/model/resolve/[^/]*/(.*)", path):
                body = (folder / file[1]).read_bytes()
                if self.command == "GET":
                    asked.append(file[1])
                tag = f'"{hashlib.sha1(body).hexdigest()}"'
                self.answer(body, ETag=tag, X_Repo_Commit=COMMIT, Accept_Ranges="bytes")
            else:
                self.answer(b"", 404, X_Error_Code="RepoNotFound")

        def entry(self, path):
            body = path.read_bytes()
            oid = hashlib.sha1(body).hexdigest()
            return {"type": "file", "path": path.name, "size": len(body), "oid": oid}

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "served"
    return save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), folder)


def load(tmp_path, *hub_ids, **environment):
    """Load models in a process with a cache of its own; the errors, and the seconds it took."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "cache")}
    start = time.monotonic()
    errors = afresh(copy, tmp_path, hub_ids, env=clean | offline | environment)
    return errors, time.monotonic() - start


@pytest.mark.slow
def test_a_hub_model_is_fetched_once_and_then_read_from_the_cache(tmp_path, model):
    (model / "pytorch_model.bin").write_bytes(b"not asked for")
    (model / "README.md").write_text("not asked for")
    asked = []
    with hub(model, asked) as endpoint:
        assert not load(tmp_path, "owner/model", "owner/model", HF_ENDPOINT=endpoint)[0]
    assert sorted(asked) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    for environment in ({"HF_HUB_OFFLINE": "1"}, {}):  # asked not to, and unable to
        (tmp_path / "copy.pyth").unlink()
        errors, seconds = load(tmp_path, "owner/model", **environment)
        assert not errors
        assert seconds < 15
        copy = load_checkpoint(tmp_path / "copy.pyth")
        assert same_weights(copy.weights, checkpoint().weights)
        assert (copy.labels, copy.preprocessing) == (LABELS, INPUT)


@pytest.mark.slow
def test_a_sharded_pickled_hub_model_is_fetched(tmp_path, model):
    import torch

    from timesformer_ref.checkpoints.hugging_face import rename_to_hugging_face

    (model / "model.safetensors").unlink()
    start = checkpoint()
    renamed = rename_to_hugging_face(start.weights, start.config)
    shard = "pytorch_model-00001-of-00001.bin"
    torch.save(renamed, model / shard)
    index = model / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(renamed, shard)}))
    with hub(model, []) as endpoint:
        assert not load(tmp_path, "owner/model", HF_ENDPOINT=endpoint)[0]
    assert same_weights(load_checkpoint(tmp_path / "copy.pyth").weights, start.weights)


@pytest.mark.slow
def test_an_unknown_model_and_one_without_weights_are_one_line(tmp_path, model):
    (model / "model.safetensors").unlink()
    with hub(model, []) as endpoint:
        (unknown, empty), _ = load(tmp_path, "owner/other", "owner/model", HF_ENDPOINT=endpoint)
    assert unknown.startswith("owner/other: no such file or folder here, no such model on the hub")
    assert "\n" not in unknown
    assert empty == "owner/model: the hub's model has no model.safetensors nor pytorch_model.bin"


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["no net", "offline"])
def test_without_a_connection_one_line_says_so_at_once(tmp_path, environment):
    (said,), seconds = load(tmp_path, "owner/model", **environment)
    assert said.startswith("owner/model: no such file or folder here, not whole in the hub's cache")
    assert "\n" not in said
    assert seconds < 15


@pytest.mark.parametrize("source", ["a/b", "facebook/timesformer-base-finetuned-k400", "o_1/m.v2"])
def test_hub_ids_are_recognised(source):
    assert is_hub_id(source)


@pytest.mark.parametrize(
    "source",
    ["a", "a/b/c", "./a", "../a", "/a", "a/b.pyth", "a/b.safetensors", "a/", "~/a", "a b/c"],
)
def test_paths_are_not_taken_for_hub_ids(source):
    assert not is_hub_id(source)


def test_a_folder_here_goes_before_a_hub_model(tmp_path, monkeypatch):
    save_checkpoint(checkpoint(), tmp_path / "owner/model")
    monkeypatch.chdir(tmp_path)
    assert same_weights(load_checkpoint(Path("owner/model")).weights, checkpoint().weights)
