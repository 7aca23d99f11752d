"""The model that comes with the package is as good as its card says, on clips it never saw."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skimage")
pytest.importorskip("accelerate")

from docs.camera_motion.clips import fresh_clips
from docs.camera_motion.model import CONFIG, PREPROCESSING
from docs.camera_motion.moves import LABELS
from spec_tests.project.photographs import SHOWN, PhotographClips
from spec_tests.project.tiny import checkpoint, one_line
from timesformer_ref import default_model
from timesformer_ref.checkpoints import load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.training.evaluate import evaluate

CARD = Path(default_model.FILE).with_name("README.md").read_text(encoding="utf-8")


@cache
def model():
    return TimeSformer.from_pretrained(default_model.NAME)


def test_the_file_is_what_the_recipe_makes():
    checkpoint = load_checkpoint(default_model.NAME)
    assert checkpoint.config == CONFIG
    assert checkpoint.labels == LABELS
    assert Preprocessing(**checkpoint.preprocessing) == PREPROCESSING
    assert {weight.dtype for weight in checkpoint.weights.values()} == {torch.float16}
    assert Path(default_model.FILE).stat().st_size < 2e6


def answers(video):
    with torch.inference_mode():
        return model()(video).logits.argmax(dim=1).tolist()


def test_moves_over_photographs_are_told_whichever_way_they_are_shown():
    """Mirrored clips swap left and right, those played backwards in and out."""
    clips = PhotographClips(PREPROCESSING, speeds=5)
    views, labels = zip(*(clips[number] for number in range(0, len(clips), 4)), strict=True)
    video = torch.cat(views)
    for turned, becomes in SHOWN.values():
        expected = [LABELS.index(becomes[LABELS[label]]) for label in labels]
        found = answers(video.flip(turned))
        assert np.mean([a == b for a, b in zip(found, expected, strict=True)]) >= 0.9


def claimed(line):
    """The percentage that the card gives in the row that begins so."""
    return float(re.search(rf"^\| {re.escape(line)} \|.*?([\d.]+) % \|", CARD, re.MULTILINE)[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "clips"),
    [
        ("fresh generated clips", lambda: fresh_clips(PREPROCESSING, 2000)),
        ("camera moves over photographs", lambda: PhotographClips(PREPROCESSING)),
        ("the same, mirrored", lambda: PhotographClips(PREPROCESSING, shown="mirrored")),
        ("the same, backwards", lambda: PhotographClips(PREPROCESSING, shown="backwards")),
    ],
)
def test_figures_of_the_card(line, clips):
    found = evaluate(model(), clips(), videos_at_once=64)
    assert 100 * found.top1 == pytest.approx(claimed(line), abs=0.2)


# The commands


@pytest.mark.slow
def test_the_recipe_trains_from_nothing(tmp_path, monkeypatch):
    training = import_module("docs.camera_motion.train")
    monkeypatch.setattr(training.clips, "fresh_clips", lambda *_: fresh_clips(PREPROCESSING, 20))
    words = (tmp_path / "run", "--steps", 2, "--batch", 4, "--workers", 0)
    monkeypatch.setattr("sys.argv", ["train", *map(str, words)])
    training.main()
    trained = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert trained.labels == LABELS
    assert Preprocessing(**trained.preprocessing) == PREPROCESSING


def test_convert_rounds_to_another_type_or_refuses(run, tmp_path):
    wide = checkpoint()
    path, target = tmp_path / "wide.safetensors", tmp_path / "small.safetensors"
    save_checkpoint(wide, path)
    assert run("convert", path, target, "--dtype", "float16").code == 0
    rounded = load_checkpoint(target).weights
    for name, weight in wide.weights.items():
        assert torch.equal(rounded[name], weight.half())
    target.unlink()
    wide.weights["head.bias"][0] = 1e6
    save_checkpoint(wide, path)
    said = run("convert", path, target, "--dtype", "float16")
    one_line(said, 1, "head.bias: has values beyond float16")
    assert not target.exists()
