"""`--published`, against a hub on this machine that serves a small model and a small video."""

from __future__ import annotations

import contextlib
import io
import os

import numpy as np
import pytest

from spec_tests.harness import published
from spec_tests.project.processes import afresh
from spec_tests.project.test_hub import served
from spec_tests.project.tiny import checkpoint
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.numpy_blocks.model import forward

pytestmark = pytest.mark.slow  # each is a run of pytest in a process of its own


def check(logits):
    """Run the check on the hub's small model, for which these logits are stated."""
    published.CHECKPOINT = published.DATASET = "owner/model"
    published.LOGITS = logits
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["spec_tests", "--published", "-n0", "-q", "-pno:cacheprovider"])
    return int(code), said.getvalue()


def run(tmp_path, logits, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "PYTEST"))}
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "cache")}
    return afresh(check, logits, env=clean | offline | environment)


@pytest.fixture
def hub(tmp_path):
    """A folder with a model and a video, and the first logits of the one on the other."""
    pytest.importorskip("transformers")
    model = checkpoint(image_size=224, patch_size=32, num_frames=8)
    folder = save_checkpoint(model, tmp_path / "served")
    frames = np.random.default_rng(0).integers(0, 256, (9, 240, 320, 3), np.uint8)
    np.save(folder / published.FILE, frames)
    video = published.processed(frames[:8])
    assert video.shape == (1, 8, 3, 224, 224)
    return folder, tuple(forward(video, model.arrays(), model.config).logits[0, :3].tolist())


def test_both_implementations_and_transformers_agree_with_the_stated_logits(tmp_path, hub):
    folder, logits = hub
    with served(folder, asked := []) as endpoint:
        code, said = run(tmp_path, logits, HF_ENDPOINT=endpoint)
    assert code == 0, said
    assert {published.FILE, "model.safetensors"} <= set(asked)
    assert "10 passed" in said  # of each: the reference, three implementations, what is stated
    assert "skipped" not in said


def test_other_logits_than_the_stated_fail_and_say_by_how_much(tmp_path, hub):
    folder, (first, *rest) = hub
    with served(folder, []) as endpoint:
        code, said = run(tmp_path, (first + 0.01, *rest), HF_ENDPOINT=endpoint)
    assert code == 1
    assert "2 failed, 8 passed" in said
    assert "1.0e-02 off" in said


def test_without_a_connection_it_says_what_it_would_do(tmp_path):
    code, said = run(tmp_path, (0.0,))
    assert code == 0
    assert "passed" not in said
    assert "would download the checkpoint owner/model (0.5 GB) and eating_spaghetti.npy" in said
    assert "not here: " in said


def test_the_two_options_for_a_checkpoint_exclude_each_other(tmp_path):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = pytest.main(["spec_tests", "--published", "--checkpoint", "x.pyth", "-n0"])
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--published: names its own checkpoint" in said.getvalue()
