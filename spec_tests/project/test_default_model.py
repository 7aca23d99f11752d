"""The model that comes with the package: found by its name, or by naming none."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from spec_tests.project.closeness import assert_close
from spec_tests.project.tiny import INPUT, checkpoint, same_weights, write_video
from timesformer_ref import TimeSformer, default_model, forward, load_checkpoint
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.input.video import read_clip


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder of one video, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=40)
    return tmp_path


def test_it_is_small_and_tells_its_classes_and_its_whole_input():
    found = load_checkpoint(default_model.NAME)
    assert default_model.FILE.stat().st_size < 4_000_000
    assert {"static", "pan left", "zoom in"} <= set(found.labels)
    with warnings.catch_warnings(action="error"):  # nothing has to be assumed
        chosen = choose_preprocessing(found)
    assert (chosen.num_crops, chosen.antialias) == (1, True)


def test_both_implementations_of_it_agree(room):
    found = load_checkpoint(default_model.NAME)
    video = read_clip(room / "a.mp4", choose_preprocessing(found)).video.astype(np.float64)
    model = TimeSformer.from_pretrained(default_model.NAME, dtype=torch.float64)
    with torch.inference_mode():
        logits = model(torch.from_numpy(video)).logits
    assert_close(logits, forward(video, found.arrays(np.float64), found.config).logits, "logits")


def test_without_a_checkpoint_it_answers_and_a_line_says_so(run, room):
    said = run("classify", "a.mp4", "--backend", "both", "--json", "--top", 99)
    assert said.code == 0
    assert said.err.count("\n") == 1
    assert "no --checkpoint: using camera-motion" in said.err
    answer = json.loads(said.out)
    assert (answer["checkpoint"], answer["views"]) == ("camera-motion", 1)
    assert answer["max_difference"] < 1e-4
    found = load_checkpoint(default_model.FILE)
    assert {row["label"] for row in answer["top"]} == set(found.labels)
    named = run("classify", "a.mp4", "--json", "-c", default_model.NAME)
    assert named.err == ""
    assert json.loads(named.out)["logits"] == pytest.approx(answer["logits"])


def test_crops_may_be_asked_for_all_the_same(run, room):
    assert json.loads(run("classify", "a.mp4", "--json", "--crops", 3).out)["views"] == 3


def test_features_need_no_checkpoint_either(run, room):
    said = run("features", "a.mp4", "--out", "x.npz")
    assert said.code == 0
    assert "using camera-motion" in said.err
    depth = load_checkpoint(default_model.NAME).config.hidden_size
    assert np.load("x.npz")["class_feature"].shape == (1, depth)


def test_a_folder_of_its_name_goes_first_where_it_is_named(run, room):
    start = checkpoint(preprocessing=INPUT)
    save_checkpoint(start, default_model.NAME)
    assert same_weights(load_checkpoint(default_model.NAME).weights, start.weights)
    answer = json.loads(run("classify", "a.mp4", "--json").out)  # where none is named, it does not
    assert answer["top"][0]["label"] in load_checkpoint(default_model.FILE).labels
