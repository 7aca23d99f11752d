"""ViT-Base on real input: run with `-m slow`, a few minutes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from spec_tests.harness.golden_vectors import FOLDER
from spec_tests.make_example import random_checkpoint
from timesformer_ref import TimeSformer, load_checkpoint, save_checkpoint
from timesformer_ref.config import TimeSformerConfig

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A full-size file in the original's form, with random weights."""
    path = tmp_path_factory.mktemp("full") / "random.pyth"
    return save_checkpoint(random_checkpoint(TimeSformerConfig()), path)


def test_a_folder_we_write_gives_transformers_our_logits(checkpoint, tmp_path):
    transformers = pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_checkpoint(load_checkpoint(checkpoint), tmp_path / "folder")
    theirs, info = transformers.TimesformerForVideoClassification.from_pretrained(
        tmp_path / "folder", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ours = TimeSformer.from_pretrained(checkpoint)
    video = torch.randn(1, 8, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = theirs.eval()(video).logits, ours(video).logits
    assert (found - expected).abs().max() <= 1e-5


MEASURE = """
import resource, sys
from timesformer_ref.checkpoints import load_checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load_checkpoint(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_reading_a_file_takes_at_most_2_2_times_its_size(checkpoint):
    assert resource.RUSAGE_SELF == 0
    grown = int(subprocess.check_output([sys.executable, "-c", MEASURE, checkpoint]))
    assert grown <= 2.2 * checkpoint.stat().st_size


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the original's videos")
def test_real_videos_give_the_originals_logits_through_both_implementations(tmp_path):
    path = tmp_path / "original.pyth"
    subprocess.run([sys.executable, SHARED / "make_checkpoint.py", path], check=True)
    expected = json.loads((FOLDER / "end_to_end.json").read_text())["videos"]
    command = [sys.executable, "-m", "timesformer_ref", "classify", "--backend", "both", "--json"]
    videos = [SHARED / "videos" / name for name in expected]
    lines = subprocess.check_output([*command, *videos, "--checkpoint", path], text=True)
    for line, (name, original) in zip(lines.splitlines(), expected.items(), strict=True):
        answer = json.loads(line)
        assert Path(answer["video"]).name == name
        assert answer["max_difference"] <= 1e-5
        mean = np.mean(original["logits_per_view"], axis=0)
        assert np.abs(answer["logits"] - mean).max() <= 1e-4 * np.abs(mean).max()
