"""Models of the Hugging Face Hub, from a server on this machine that imitates it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from spec_tests.project.processes import afresh
from spec_tests.project.tiny import INPUT, LABELS, checkpoint, same_weights
from timesformer_ref.checkpoints import CheckpointError, hub, load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints.reading import is_hub_id

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HTML = b"<html>Welcome to our network! Please log in.</html>"


def copy(folder, hub_ids, patience=None):
    """Copy models of the hub into a file of the folder; the errors."""
    os.chdir(folder)
    hub.PATIENCE = patience or hub.PATIENCE
    errors = []
    for hub_id in hub_ids:
        try:
            save_checkpoint(load_checkpoint(hub_id), "copy.pyth")
        except CheckpointError as error:
            errors.append(str(error))
    return errors


@contextmanager
def served(folder, asked):
    """A hub with `owner/model`, and models with a fault of their name; `asked` notes what was sent.

    `faulty/NAME` answers every request as `FAULTS[NAME]` does, `faulty/get-NAME` only downloads.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.do_GET()

        def answer(self, body=b"", status=200, send=None, **headers):
            self.send_response(status)
            for name, value in ({"Content_Length": len(body)} | headers).items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            if self.command == "GET":
                (send or self.wfile.write)(body)

        def do_GET(self):
            *_, owner, model, _, _, name = self.path.strip("/").split("/")  # `datasets/` before it
            downloads = model.startswith("get-")
            if owner == "faulty" and (self.command == "GET" or not downloads):
                asked.append(model)
                return FAULTS[model.removeprefix("get-")](self, folder / name)
            if (owner, model) != ("owner", "model") and owner != "faulty":
                return self.answer(status=404, X_Error_Code="RepoNotFound")
            if not (folder / name).exists():
                return self.answer(status=404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            if self.command == "GET":
                asked.append(name)
            return self.file(folder / name)

        def file(self, path, change=bytes, send=None):
            """Answer a file, changed, with the hash and the size of the true one."""
            body = path.read_bytes()
            lfs = path.suffix in (".safetensors", ".bin")
            git = b"blob %d\0" % len(body)
            tag = hashlib.sha256(body) if lfs else hashlib.sha1(git + body)
            about = {"ETag": f'"{tag.hexdigest()}"', "X_Repo_Commit": COMMIT}
            self.answer(change(body), Content_Length=len(body), send=send, **about)

        def drip(self, body):
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)

        def slow(self, body):
            """Send in four seconds, to eight pieces."""
            for start in range(0, len(body), step := len(body) // 8 + 1):
                self.wfile.write(body[start : start + step])
                time.sleep(0.5)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # of a client that went
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def status(number, **headers):
    return lambda handler, path: handler.answer(HTML, number, **headers)


def silent(handler, path):
    time.sleep(60)


def weights_only(change, times=99):
    """Answer the weights changed, the first times."""
    left = [change] * times

    def answer(handler, path):
        weights = path.suffix == ".safetensors" and left
        handler.file(path, left.pop() if weights else bytes)
        handler.close_connection = True

    return answer


FAULTS = {
    **{str(number): status(number) for number in (401, 403, 404, 429, 500, 503, 511)},
    "gated": status(403, X_Error_Code="GatedRepo"),
    "gated-for-strangers": status(401, X_Error_Code="GatedRepo"),
    "portal": status(200),
    "portal-elsewhere": status(302, Location="http://login.invalid/"),
    "circle": lambda handler, path: handler.answer(status=307, Location=handler.path),
    "silent": silent,
    "dripping": lambda handler, path: handler.drip(b"HTTP/1.1 200 OK\r\n" * 99),
    "dripping-file": lambda handler, path: handler.file(path, send=handler.drip),
    "broken-off": weights_only(lambda body: body[:-9]),
    "short": lambda handler, path: handler.answer(path.read_bytes()[:-9]),
    "slow": lambda handler, path: handler.file(
        path, send=handler.slow if path.suffix == ".safetensors" else None
    ),
    "other-config": lambda handler, path: handler.file(path, lambda body: body[:-1] + b" "),
    "other-weights": weights_only(lambda body: body[:-1] + b"!", times=1),
}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "served"
    return save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), folder)


def load(tmp_path, *hub_ids, patience=None, **environment):
    """Load models in a process with a cache of its own; the errors, and the seconds it took."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "cache")}
    start = time.monotonic()
    errors = afresh(copy, tmp_path, hub_ids, patience, env=clean | offline | environment)
    return errors, time.monotonic() - start


AT_ONCE = {
    "401": "does not accept the login: log in with `hf auth login` or set HF_TOKEN \\(",
    "403": "forbids it",
    "404": "no such model on the hub, or a private one",
    "429": "too many requests from here: wait",
    "500": "a fault of its own: try again later \\(",
    "503": "a fault of its own: try again later \\(",
    "511": "a login page of the network",
    "gated": "gated: accept its terms on its page of the hub, then log in",
    "gated-for-strangers": "gated: accept its terms on its page of the hub, then log in",
    "portal": "a login page of the network",
    "portal-elsewhere": "a login page of the network",
    "circle": "redirects in circles|nearly nothing",  # older releases of the library go on for ever
    "get-401": "does not accept the login: log in with `hf auth login` or set HF_TOKEN \\(",
    "get-403": "forbids it",
    "get-503": "a fault of its own: try again later \\(",
    "get-circle": "redirects in circles",
    "get-short": "cannot be fetched \\(Consistency check failed",
    "get-portal": "cannot be fetched \\(Consistency check failed",
    "get-other-config": "config.json is not what the hub promised, its hash is ",
    "silent": "does not answer: try again later, or allow more seconds",
    "dripping": "nearly nothing new came",
}
LATER = {
    "get-silent": "nearly nothing new came|does not answer",
    "get-dripping": "nearly nothing new came",
    "get-dripping-file": "nearly nothing new came",
    "get-broken-off": "nearly nothing new came|the connection broke",  # begun again and again
}


@pytest.mark.parametrize("cases", [AT_ONCE, pytest.param(LATER, marks=pytest.mark.slow)])
def test_each_fault_of_the_hub_is_one_line_with_its_cause_and_what_to_do(tmp_path, model, cases):
    limits = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    ids = [f"faulty/{name}" for name in cases]
    with served(model, []) as endpoint:
        errors, _ = load(tmp_path, *ids, patience=2, HF_ENDPOINT=endpoint, **limits)
    for error, hub_id, said in zip(errors, ids, cases.values(), strict=True):
        assert error.startswith(f"{hub_id}: ")
        assert re.search(said, error)
        assert "\n" not in error


def load_until_whole(folder, hub_id):
    """Load a model, again from the cache, and once more without the file that the error names."""
    errors = copy(folder, [hub_id, hub_id])
    Path(errors[0].partition("delete ")[2].removesuffix(" and try again")).unlink()
    return errors, copy(folder, [hub_id])


def test_wrong_bytes_of_the_right_length_are_refused_until_they_are_deleted(tmp_path, model):
    with served(model, []) as endpoint:
        environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache")}
        task = (load_until_whole, tmp_path, "faulty/get-other-weights")
        (first, second), third = afresh(*task, env=environment)
    assert first == second
    assert "model.safetensors is not what the hub promised" in first
    assert not third


@pytest.mark.slow
def test_a_process_waits_for_another_that_downloads_the_same_however_long(tmp_path, model):
    with served(model, asked := []) as endpoint, ThreadPoolExecutor() as pool:
        task = partial(load, tmp_path, "faulty/get-slow", patience=3, HF_ENDPOINT=endpoint)
        two = [pool.submit(task) for _ in range(2)]
        assert [future.result()[0] for future in two] == [[], []]
    assert 3 <= asked.count("get-slow") < 6


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent", "get-dripping"])
def test_a_download_can_be_interrupted_at_any_time(tmp_path, model, fault):
    asked = []
    with served(model, asked) as endpoint:
        place = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_ETAG_TIMEOUT": "50"}
        command = [sys.executable, "-m", "timesformer_ref", "inspect", f"faulty/{fault}"]
        listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whatever this one does
        process = subprocess.Popen(
            command, env=os.environ | place, stderr=subprocess.PIPE, preexec_fn=listening
        )
        while fault not in asked:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said


@pytest.mark.slow
def test_a_hub_model_is_fetched_once_and_then_read_from_the_cache(tmp_path, model):
    (model / "pytorch_model.bin").write_bytes(b"not asked for")
    (model / "README.md").write_text("not asked for")
    asked = []
    with served(model, asked) as endpoint:
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
    with served(model, []) as endpoint:
        assert not load(tmp_path, "owner/model", HF_ENDPOINT=endpoint)[0]
    assert same_weights(load_checkpoint(tmp_path / "copy.pyth").weights, start.weights)


@pytest.mark.slow
def test_an_unknown_model_and_one_without_weights_are_one_line(tmp_path, model):
    (model / "model.safetensors").unlink()
    with served(model, []) as endpoint:
        (unknown, empty), _ = load(tmp_path, "owner/other", "owner/model", HF_ENDPOINT=endpoint)
    start = (
        "owner/other: no such file or folder here, not whole in the hub's cache, and no such model"
    )
    assert unknown.startswith(start)
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
