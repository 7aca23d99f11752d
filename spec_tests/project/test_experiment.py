"""The experiment's runs are what its tables say, and a broken one continues where it stopped."""

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")
pytest.importorskip("matplotlib")

from docs.ablation import run as ablation
from docs.ablation.runs import FULL, RUNS, SEEDS, Run, directions, run_one, start
from docs.ablation.tasks import CLASSES, make_clips
from timesformer_ref.schemes import SCHEMES

TINY = FULL._replace(recipe=replace(FULL.recipe, steps=2, batch_size=4), fresh=16)
CLIPS = make_clips(0, 400, frames=4, side=16)


def test_both_tasks_ask_about_the_same_clips():
    motion, appearance = (CLIPS.source(task) for task in CLASSES)
    assert all(torch.equal(motion[k][0], appearance[k][0]) for k in range(5))
    pairs = {(int(motion[k][1]), int(appearance[k][1])) for k in range(400)}
    assert len(pairs) == 4 * 4


@pytest.mark.parametrize(("label", "way"), list(enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)])))
def test_shapes_move_as_their_label_says(label, way):
    """Among all shifts by two pixels, that along the movement changes a frame least."""
    video = CLIPS.video[CLIPS.labels["motion"] == label][:, :, 0]
    shifts = [(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)]
    change = [
        (video[:, 1:] - video[:, :-1].roll((y, x), dims=(-2, -1))).square().mean()
        for x, y in shifts
    ]
    assert shifts[int(np.argmin(change))] == (2 * way[0], 2 * way[1])


def test_clips_of_a_seed_are_the_same_again_and_no_other_seeds():
    assert torch.equal(make_clips(0, 400, 4, 16).video, CLIPS.video)
    assert not torch.equal(make_clips(1, 400, 4, 16).video, CLIPS.video)


def test_what_a_model_is_not_to_know_stays_zero():
    for positions, unknown in (("none", {"time_embed", "pos_embed"}), ("space", {"time_embed"})):
        model = start(Run("motion", positions=positions), TINY)
        assert {n for n, w in model.named_parameters() if not w.requires_grad} == unknown
        assert not any(model.get_parameter(name).any() for name in unknown)
    found = run_one(Run("motion", positions="none"), TINY, lambda part: None)
    assert found["curve"][-1] == [2 * 4, found["top1"]]
    assert found["parameters"] == sum(w.numel() for w in model.parameters())


def test_runs_of_a_scheme_and_seed_start_alike_but_for_what_they_compare():
    divided = [run for run in RUNS if run.task == "motion" and run.positions != "none"]
    starts = {
        run: start(run, TINY).state_dict()
        for run in divided
        if run.attention_type == Run.attention_type
    }
    assert len(starts) == 3 * len(SEEDS)
    for run, weights in starts.items():
        plain = starts[Run("motion", seed=run.seed)]
        differing = {name for name, w in weights.items() if not torch.equal(w, plain[name])}
        assert differing <= {"time_embed"}
    assert len({float(weights["pos_embed"].sum()) for weights in starts.values()}) == len(SEEDS)


def test_directions_of_a_confusion_matrix():
    confusion = np.zeros((4, 4), np.int64)
    confusion[0, 0], confusion[0, 1] = 3, 1  # left, also taken for right
    confusion[3, 3], confusion[3, 0] = 2, 4  # down, also taken for left
    assert directions(confusion) == {"axis": 0.6, "direction": pytest.approx(5 / 6, abs=1e-4)}


@pytest.mark.parametrize(
    ("seeds", "learned"),
    [
        ([(0.9, 0.9), (0.9, 0.7)], "direction"),
        ([(0.9, 0.9), (0.9, 0.52)], "some"),
        ([(0.9, 0.52), (0.7, 0.48)], "axis"),
        ([(0.9, 0.52), (0.52, 0.55)], "nothing"),
        ([(0.0, 0.0)], "nothing"),
    ],
)
def test_what_models_have_learned_is_distinguished_from_chance(seeds, learned):
    what_was_learned = import_module("docs.making.experiment").what_was_learned
    runs = [{"axis": axis, "direction": direction} for axis, direction in seeds]
    assert what_was_learned(runs, clips=1000) == learned


def test_space_only_cannot_see_order():
    model = start(Run("motion", "space_only"), TINY).eval()
    video = torch.randn(1, 4, 1, 16, 16)
    assert torch.allclose(model(video).logits, model(video.flip(1)).logits, atol=1e-5)


def test_a_broken_experiment_continues(tmp_path, monkeypatch):
    trained = []

    def pretend(run, scale, progress):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(run)
        return {
            **vars(run), "parameters": 1, "multiply_adds": 10**6, "curve": [[1, 0.5]],
            "seconds": 1.0, "top1": 0.25 + 0.25 * run.seed, "axis": 0.5, "direction": 0.5,
        }  # fmt: skip

    row = {"frames": 8, "size": 224, "predicted": 10**9, "counted": 10**9}
    monkeypatch.setattr(ablation, "run_one", pretend)
    monkeypatch.setattr(
        ablation, "grow", lambda: [row | {"attention_type": scheme} for scheme in SCHEMES]
    )
    data = tmp_path / "ablation" / "results.json"
    with pytest.raises(KeyboardInterrupt):
        ablation.run_ablation(data, TINY)
    trained.append(None)  # now it is not the third any more
    results = ablation.run_ablation(data, TINY)
    assert [run for run in trained if run] == list(RUNS)
    assert len(results["runs"]) == len(RUNS)
    assert json.loads(data.read_text()) == results
    import_module("docs.making.figures.experiment").draw_experiment(data)
    page = import_module("docs.making.experiment").experiment_part(data)
    for picture in ("clips", "learning", "growth"):
        assert data.with_name(f"{picture}.svg").stat().st_size > 1000
        assert f"(../experiment/{picture}.svg)" in page
    assert "50\N{NO-BREAK SPACE}% (25–75)" in page


@pytest.mark.slow
def test_temporal_attention_wakes_from_zero_at_the_first_step():
    waking = import_module("docs.making.waking")
    recipe = replace(waking.SHORT, steps=2, batch_size=2)
    found = waking.record(waking.begin(zero=True), recipe, waking.easy_clips(waking.PROBE))
    before, first, _ = found["shares"].values()
    assert before == [0, 0, 0]
    assert min(first) > 0
    assert min(waking.shares(waking.begin(zero=False), torch.randn(1, 8, 3, 24, 24))) > 0.1
