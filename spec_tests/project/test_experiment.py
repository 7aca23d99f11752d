"""The experiment's runs are what its tables say, and a broken one goes on where it stopped."""

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")
pytest.importorskip("matplotlib")

from docs.camera_motion.ablation import run as ablation
from docs.camera_motion.ablation.runs import (
    QUICK,
    RUNS,
    Run,
    directions,
    run_one,
    start,
)
from docs.camera_motion.ablation.tasks import APPEARANCES, TaskClips, make_clips
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.training.evaluate import Evaluation

TINY = QUICK._replace(recipe=replace(QUICK.recipe, steps=2, batch_size=4), fresh=16)


@pytest.fixture(scope="module")
def clips():
    return make_clips(TINY.preprocessing, seed=0, count=40)


def test_both_tasks_ask_about_the_same_clips(clips):
    motion, appearance = (
        TaskClips(clips, task, TINY.preprocessing).__getitems__(range(40)) for task in clips.answers
    )
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(motion, appearance, strict=True))
    moves, seen = ([label for _, label in asked] for asked in (motion, appearance))
    assert max(moves) > len(APPEARANCES)
    assert set(seen) == set(range(len(APPEARANCES)))


def test_clips_rest_on_their_seed_and_number_alone(clips):
    fewer = make_clips(TINY.preprocessing, seed=0, count=20)
    assert (fewer.video.int() - clips.video[:20].int()).abs().max() <= 1
    for task, answers in clips.answers.items():
        assert torch.equal(fewer.answers[task], answers[:20])
    assert not torch.equal(make_clips(TINY.preprocessing, 1, 20).video, fewer.video)


def test_what_a_model_is_not_to_know_stays_zero(clips):
    for positions, unknown in (("none", {"time_embed", "pos_embed"}), ("space", {"time_embed"})):
        model = start(Run("motion", positions=positions), TINY)
        assert {n for n, w in model.named_parameters() if not w.requires_grad} == unknown
        assert not any(model.get_parameter(name).any() for name in unknown)
    found = run_one(Run("motion", positions="none"), TINY, clips, clips)
    assert len(found["losses"]) == 2
    assert found["parameters"] == sum(w.numel() for w in model.parameters())


def test_runs_of_a_scheme_start_alike_but_for_what_they_compare():
    divided = [run for run in RUNS if run.task == "motion" and run.positions != "none"]
    weights = [
        start(r, TINY).state_dict() for r in divided if r.attention_type == Run.attention_type
    ]
    assert len(weights) == 4
    for other in weights[1:]:
        differing = {name for name, w in other.items() if not torch.equal(w, weights[0][name])}
        assert differing == {"time_embed"}


def test_directions_of_a_confusion_matrix():
    confusion = np.zeros((9, 9), np.int64)
    confusion[0, 3] = 7  # static: does not move
    confusion[1, 1], confusion[1, 2] = 3, 1  # pan left, also taken for pan right
    confusion[4, 4], confusion[4, 0] = 2, 4  # tilt down, also for static
    nothing = np.zeros(0, np.int64), np.zeros((0, 9), np.float32)
    found = directions(Evaluation(0.0, 0.0, 0.0, confusion, *nothing))
    assert found == {"axis": pytest.approx(6 / 10), "direction": pytest.approx(5 / 6)}


@pytest.mark.parametrize(
    ("axis", "direction", "learnt"),
    [(0.9, 0.9, "direction"), (0.9, 0.52, "axis"), (0.1, 0.9, "nothing"), (0.0, 0.0, "nothing")],
)
def test_what_a_model_has_learnt_is_told_from_chance(axis, direction, learnt):
    what_was_learnt = import_module("docs.making.experiment").what_was_learnt
    assert what_was_learnt({"axis": axis, "direction": direction}, clips=2000) == learnt


def test_space_only_cannot_see_order():
    model = start(Run("motion", "space_only"), TINY).eval()
    video = torch.randn(1, 4, 3, 16, 16)
    assert torch.allclose(model(video).logits, model(video.flip(1)).logits, atol=1e-5)


def test_a_broken_experiment_goes_on(tmp_path, monkeypatch):
    trained = []

    def pretend(run, scale, clips, fresh, report):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(run)
        return {
            **vars(run), "parameters": 1, "multiply_adds": 10**6, "losses": [1.0],
            "curve": [[1, 0.5]], "seconds": 1, "top1": 0.5, "axis": 0.5, "direction": 0.5,
        }  # fmt: skip

    monkeypatch.setattr(ablation, "QUICK", TINY)
    row = {"frames": 8, "size": 224, "predicted": 10**9, "counted": 10**9}
    monkeypatch.setattr(ablation, "run_one", pretend)
    monkeypatch.setattr(ablation, "time_steps", lambda scale, repeats: dict.fromkeys(SCHEMES, 1.0))
    monkeypatch.setattr(
        ablation, "grow", lambda: [row | {"attention_type": scheme} for scheme in SCHEMES]
    )
    with pytest.raises(KeyboardInterrupt):
        ablation.run_ablation(tmp_path / "ablation" / "results.json", quick=True)
    trained.append(None)  # now it is not the third any more
    results = ablation.run_ablation(tmp_path / "ablation" / "results.json", quick=True)
    assert [run for run in trained if run] == list(RUNS)
    assert len(results["runs"]) == len(RUNS)
    data = tmp_path / "ablation" / "results.json"
    assert json.loads(data.read_text()) == results
    import_module("docs.making.figures.experiment").draw_experiment(data)
    assert data.with_name("learning.svg").stat().st_size > 1000
    assert "![" in import_module("docs.making.experiment").experiment_part(data)


@pytest.mark.slow
def test_temporal_attention_wakes_from_zero_at_the_first_step():
    waking = import_module("docs.making.waking")
    clips = make_clips(waking.PREPROCESSING, seed=0, count=waking.PROBE)
    recipe = replace(waking.SHORT, steps=2, batch_size=2)
    found = waking.record(waking.begin(zero=True), recipe, clips, clips)
    before, first, _ = found["shares"].values()
    assert before == [0, 0, 0]
    assert min(first) > 0
    assert min(waking.shares(waking.begin(zero=False), torch.randn(1, 8, 3, 24, 24))) > 0.1
