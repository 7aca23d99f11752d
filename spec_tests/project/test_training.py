"""Training: what a run repeats, what it writes, and which videos it learns from."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors import safe_open

from spec_tests.project.tiny import CONFIG, INPUT, checkpoint, one_line, same_weights, write_video
from spec_tests.project.training_runs import RECIPE, Clips, Views, losses, model
from timesformer_ref.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.input.decoding import VideoError
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.training.checkpointing import checkpoint_blocks
from timesformer_ref.training.clips import (
    EvaluationViews,
    TrainingClips,
    Unreadable,
    jittered,
    random_segment_indices,
)
from timesformer_ref.training.evaluate import NO_CLASS, evaluate
from timesformer_ref.training.folder import VideosError, as_begun, find_videos
from timesformer_ref.training.inventory import look_at_all, plan_run, take_stock, warn_of_copies
from timesformer_ref.training.loop import make_optimizer, train
from timesformer_ref.training.memory import step_memory
from timesformer_ref.training.recipe import RECIPES, Recipe, count_steps, learning_rate
from timesformer_ref.training.reporter import Reporter
from timesformer_ref.training.starting import from_image_vit, model_to_train, with_classes
from timesformer_ref.training.state import History, RunError, load_state, save_state
from timesformer_ref.training.tables import make_tables, results


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """Where a test runs must not depend on what else the machine has, or what ran before."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class Killed(Exception):
    pass


def stop_after(steps):
    def report(told):
        if told.step == steps:
            raise Killed

    return report


# The loop


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_run_repeats_the_losses_of_an_uninterrupted_one(tmp_path, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer)
    how = {"validation": Views(), "evaluate_every": 2, "seed": 3, "save_every": 2}
    never_stopped = model(drop_path_rate=0.5)
    whole = train(never_stopped, Clips(), recipe, out=tmp_path / "whole", **how)
    again = how | {"out": tmp_path / "stopped"}
    with pytest.raises(Killed):
        train(model(drop_path_rate=0.5), Clips(), recipe, report=stop_after(3), **again)
    resumed_model = model(drop_path_rate=0.5, seed=9)
    resumed = train(resumed_model, Clips(), recipe, resume=True, **again)
    assert resumed == whole
    assert len(set(whole.losses)) == 5
    assert list(whole.scores) == [2, 4, 5]
    assert same_weights(resumed_model.state_dict(), never_stopped.state_dict())
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "stopped")]
    assert logs[0] == logs[1]
    assert [json.loads(line)["loss"] for line in logs[0].splitlines()] == whole.losses


def test_chance_in_the_model_is_another_in_each_step_and_for_each_seed():
    recipe = replace(RECIPE, learning_rate=1e-30, batch_size=5)  # the same clips again and again
    found = [train(model(drop_path_rate=0.5), Fives(), recipe, seed=s).losses for s in (0, 0, 1)]
    assert found[0] == found[1]
    assert len({*found[0], *found[2]}) == 10


class Fives(Clips):
    def __getitem__(self, k):
        return super().__getitem__(k % 5)


def test_a_step_in_parts_is_the_same_step():
    np.testing.assert_allclose(losses(accumulate=4, workers=1), losses(), rtol=1e-5)
    with pytest.raises(ValueError, match="batch_size 4 cannot be cut into 3 parts"):
        losses(accumulate=3)


def test_mixed_precision_leaves_a_model_of_full_precision():
    trained = model()
    found = train(trained, Clips(), RECIPE, mixed_precision="bf16", validation=Views())
    AcceleratorState._reset_state(reset_partial_state=True)  # one precision a process, else
    assert 0 < np.abs(np.subtract(found.losses, losses())).max() < 0.05
    assert found.scores[5] != evaluate(trained, Views()).scores
    assert {weight.dtype for weight in trained.parameters()} == {torch.float32}
    assert not hasattr(trained, "_original_forward")


@pytest.mark.parametrize("recompute", [False, True])
def test_the_memory_of_a_step_is_that_of_one_that_is_computed(recompute):
    recipe = replace(RECIPE, optimizer="adamw", last_blocks=1, steps=1)
    trained = model(num_hidden_layers=3, drop_path_rate=0.1)
    counted = step_memory(trained.config, recipe, 4, half=False, recompute=recompute)
    optimizer = make_optimizer(recipe, trained)
    if recompute:
        checkpoint_blocks(trained)
    storages, weights = {}, list(trained.parameters())
    own = {weight.untyped_storage().data_ptr() for weight in weights}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = trained.train()(torch.stack([Clips()[k][0] for k in range(4)])).logits.sum()
    kept = sum(storage.nbytes() for place, storage in storages.items() if place not in own)
    loss.backward()
    optimizer.step()
    states = [
        state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")
    ]
    assert counted["weights"] == sum(weight.nbytes for weight in weights)
    assert counted["gradients"] == sum(w.grad.nbytes for w in weights if w.grad is not None)
    assert counted["optimizer"] == sum(state.nbytes for state in states)
    if recompute:  # and the one block that learns is computed again
        kept += step_memory(trained.config, recipe, 4, half=False, recompute=False)["activations"]
    assert counted["activations"] == kept


def test_float16_is_refused_without_a_gpu():
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        losses(mixed_precision="fp16")


def test_tensorboard_gets_the_curves(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = train(
        model(),
        Clips(),
        RECIPE,
        validation=Views(),
        evaluate_every=5,
        out=tmp_path,
        tensorboard=True,
    )
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss")]
    assert losses == [(step, pytest.approx(loss)) for step, loss in enumerate(found.losses, 1)]
    rates = [learning_rate(RECIPE, step, 5) for step in range(5)]
    assert [event.value for event in events.Scalars("learning rate")] == pytest.approx(rates)
    assert events.Scalars("validation top1")[0].value == pytest.approx(found.scores[5]["top1"])


def test_the_scale_of_float16_gradients_is_kept(tmp_path):
    trained = model()
    optimizer = make_optimizer(RECIPE, trained)
    scaler, fresh = (torch.amp.GradScaler("cpu", init_scale=scale) for scale in (32.0, 64.0))
    scaler.scale(torch.ones(()))  # which gives it its state
    save_state(tmp_path / "state", trained, optimizer, scaler, History([1.5]), {})
    assert load_state(tmp_path / "state", trained, optimizer, fresh, {}).losses == [1.5]
    assert fresh.get_scale() == 32


def test_a_run_goes_on_with_its_own_settings_only(tmp_path):
    short = replace(RECIPE, steps=1)
    losses(short, out=tmp_path)
    with pytest.raises(RunError, match=r"holds last.safetensors of a run: --resume it"):
        losses(short, out=tmp_path)
    with pytest.raises(RunError, match=r"state.safetensors: this run has seed 0, not 1"):
        losses(short, out=tmp_path, resume=True, seed=1)
    with pytest.raises(RunError, match=r"has videos None, not 7f"):
        losses(short, out=tmp_path, resume=True, settings={"videos": "7f"})
    with pytest.raises(RunError, match=r"this run has recipe batch_size 4, not 8: resume"):
        losses(replace(short, batch_size=8), out=tmp_path, resume=True)
    (tmp_path / "state.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(RunError, match=r"state.safetensors: is not the saved state of a run"):
        losses(short, out=tmp_path, resume=True)


def test_what_a_run_writes_is_tensors_and_text(tmp_path):
    trained = model(drop_path_rate=0.0)
    trained.labels, trained.preprocessing = tuple("abcde"), {"sampling_rate": 3}
    recipe = replace(RECIPE, learning_rate=0.1, milestones=())
    history = train(trained, Clips(), recipe, validation=Views(), evaluate_every=1, out=tmp_path)
    names = {"state.safetensors", "last.safetensors", "best.safetensors", "log.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == names
    last = load_checkpoint(tmp_path / "last.safetensors")
    assert same_weights(last.weights, trained.state_dict())
    assert (last.config, last.labels) == (trained.config, tuple("abcde"))
    assert last.preprocessing == {"sampling_rate": 3}
    best = load_checkpoint(tmp_path / "best.safetensors")
    assert history.best == 3  # and worse from then on
    assert evaluate(model().from_checkpoint(best), Views()).scores == history.scores[3]
    with safe_open(tmp_path / "state.safetensors", "pt") as state:
        kinds = {name.split(".")[0] for name in state.keys()}  # noqa: SIM118
        assert kinds == {"model", "optimizer", "losses"}
        assert state.get_tensor("losses").tolist() == history.losses


def test_a_loss_that_is_no_number_ends_the_run():
    with pytest.raises(RunError, match=r"the loss of step \d is (nan|inf): use a lower learning"):
        losses(replace(RECIPE, learning_rate=1e30))


@pytest.mark.parametrize("run", [losses, lambda: evaluate(model(), Views())])
def test_processes_that_know_nothing_of_each_other_are_refused(run, monkeypatch):
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match=r"2 processes .* each would work alone: .*USE_CPU=true"):
        run()


# The recipe


def test_the_papers_learning_rate_falls_at_epochs_11_and_14_of_15():
    paper = RECIPES["paper"]
    steps = count_steps(paper, 6400)
    assert steps == 15 * 100
    rates = [learning_rate(paper, step, steps) for step in range(steps)]
    expected = np.repeat([0.005, 0.0005, 0.00005], [1100, 300, 100])
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert (paper.optimizer, paper.momentum, paper.weight_decay) == ("sgd", 0.9, 1e-4)
    assert np.multiply(224, paper.shorter_side).tolist() == [256, 320]
    assert paper.flip
    assert not RECIPES["paper-ssv2"].flip


def test_momentum_is_nesterovs_where_there_is_any():
    for momentum in (0.9, 0.0):
        made = make_optimizer(replace(RECIPES["paper"], momentum=momentum), model()).defaults
        assert (made["momentum"], made["nesterov"]) == (momentum, momentum > 0)


def test_one_cycle_goes_up_once_and_down_to_nothing():
    recipe = replace(RECIPE, schedule="one_cycle", warm_up=0.25, steps=100)
    rates = np.array([learning_rate(recipe, step, 100) for step in range(100)])
    assert np.argmax(rates) in (24, 25)
    assert (np.diff(rates[:25]) > 0).all()
    assert (np.diff(rates[25:]) < 0).all()
    assert 0 < rates[-1] < 0.001 * rates.max() < rates.max() <= recipe.learning_rate


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 0}, "batch_size 0 is impossible: use a whole number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate nan is impossible"),
        ({"schedule": "cosine"}, "steps or one_cycle"),
        ({"milestones": (0.9, 0.5)}, r"milestones \(0.9, 0.5\) is impossible"),
        ({"shorter_side": (0.5, 2.0)}, "shorter_side"),
        ({"steps": 5}, "epochs 15 and steps 5: give one of the two"),
    ],
)
def test_an_impossible_recipe_is_refused(unchecked, fields, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**fields)


# The videos


@pytest.fixture
def videos(tmp_path):
    """Two classes of two videos."""
    for more, name in enumerate(("swim/a.mp4", "swim/b.mp4", "été/c.mp4", "été/d.mp4")):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames=6 + more, size=(48, 32))
    (tmp_path / "videos/swim/.notes.txt").write_text("no video")
    return tmp_path / "videos"


def test_a_folder_and_a_list_name_the_same_videos(videos):
    found = find_videos(videos)
    assert [path.name for path in found.paths] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert (found.labels, found.classes) == ([0, 0, 1, 1], ("swim", "été"))
    rows = ["swim/a.mp4,swim", "swim/b.mp4,swim", "été/c.mp4,été", "", '"été/d.mp4", été']
    for header in ("", "path,label\n"):
        (videos / "list.csv").write_text(header + "\n".join(rows), encoding="utf-8-sig")
        assert find_videos(videos / "list.csv") == found
    files = [row.replace('"', "").replace(", ", ",").split(",") for row in rows if row]
    others = {
        "columns.csv": "id,Video,class\n" + "".join(f"1,{p},{label}\n" for p, label in files),
        "spaces.txt": "".join(f"{p} {label}\n" for p, label in files),
        "pairs.json": json.dumps(files),
        "objects.json": json.dumps([{"label": label, "path": p} for p, label in files]),
    }
    for name, text in others.items():
        (videos / name).write_text(text, encoding="utf-8")
        assert find_videos(videos / name) == found
    (videos / "list.csv").write_text("swim/a.mp4,0\nété/c.mp4,2\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="1 of classes 0 to 2 have no video"):
        numbered = find_videos(videos / "list.csv")
    assert (numbered.labels, numbered.classes) == ([0, 2], ("0", "1", "2"))
    numbers_of = find_videos(videos / "list.csv", ("x", "swim", "été"))
    assert (numbers_of.labels, numbers_of.classes) == ([0, 2], ("x", "swim", "été"))
    assert find_videos(videos, ("été", "swim")).labels == [1, 1, 0, 0]
    with pytest.raises(VideosError, match=rf"{videos}/swim: 'swim' is none of the 1 classes"):
        find_videos(videos, ("été",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no video"),
        ("path,label\nswim/a.mp4\n", r"line 2: 'swim/a.mp4', expected path,label"),
        ("swim/a.mp4,swim,1\n", "line 1: .* expected path,label"),
        ("swim/a.mp4,swim\nswim/z.mp4,swim\n", r"line 2: .*z.mp4 is no file"),
        ("swim/a.mp4,swim\nswim/b.mp4,run\n", r"line 2: 'run' is none of the 2 classes \(swim, ét"),
        ('swim/a.mp4,"swim\n', "not readable as a list"),
    ],
)
def test_a_bad_list_is_told_with_its_line(videos, text, words):
    (videos / "list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(VideosError, match=words) as caught:
        find_videos(videos / "list.csv", ("swim", "été"))
    assert str(caught.value).startswith(str(videos / "list.csv"))


def test_a_video_in_place_of_a_list_is_refused_without_its_bytes(videos):
    with pytest.raises(VideosError, match="not readable as a list of path,label") as caught:
        find_videos(videos / "swim/a.mp4")
    assert len(str(caught.value)) < len(str(videos)) + 200


def test_what_is_no_video_is_told_before_training(videos, tmp_path):
    (videos / "run").mkdir()
    with pytest.raises(VideosError, match="run: a folder without any video file"):
        find_videos(videos)
    (videos / "run/e.mp4").write_bytes(b"")
    for label, width in (("swim", 32), ("été", 40)):
        (tmp_path / "val" / label).mkdir(parents=True)
        target = tmp_path / "val" / label / "v.mp4"
        write_video(target, frames=9, size=(width, 24), turned=label == "swim")
    held_out = find_videos(tmp_path / "val", ("run", "swim", "été"))
    found = find_videos(videos)
    looks = look_at_all(found)
    assert [isinstance(seen, VideoError) for seen in looks] == [True, False, False, False, False]
    with pytest.raises(VideoError, match="is empty"):
        take_stock({"training": found}, 0.1, 50)
    with pytest.warns(UserWarning, match="e.mp4: is empty|only: run") as caught:
        rows = take_stock({"training": found, "validation": held_out}, 0.2, 50)
    assert len(caught) == 2
    assert "e.mp4" in str(caught[0].message)
    assert str(caught[1].message) == "in training or validation only: run"
    assert rows == [
        ["", "training", "validation", "clips"],
        ["videos", "5", "2", "50"],
        ["unreadable", "1", "0", ""],
        ["turned, or pixels not square", "0", "1", ""],
        ["seconds", "0.2 to 0.3, median 0.2", "0.3 to 0.3, median 0.3", ""],
        ["pixels", "48 × 32 to 48 × 32", "32 × 24 to 40 × 24", ""],
        ["of run", "1", "0", "10"],
        ["of swim", "2", "1", "20"],
        ["of été", "2", "1", "20"],
    ]


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("Swim", "swim"), "'Swim' and 'swim' differ in capitals only"),
        (("train", "val"), "train, val are parts of a data set, not classes"),
        (("swim",), "only the class 'swim'"),
        (("Test",), "Test are parts of a data set, not classes"),
    ],
)
def test_classes_that_are_hardly_meant_are_refused(tmp_path, folders, words):
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").write_bytes(b"not read")
    with pytest.raises(VideosError, match=words):
        find_videos(tmp_path)


def test_names_of_folders_are_names_even_if_they_are_numbers(tmp_path):
    for name in ("101", "102", "205"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").write_bytes(b"not read")
    found = find_videos(tmp_path)
    assert (found.classes, found.labels) == (("101", "102", "205"), [0, 1, 2])
    (tmp_path / "list.csv").write_text("101/a.mp4,1\n102/a.mp4,2\n")
    with pytest.raises(VideosError, match="labels are the numbers 1 to 2: count classes from 0"):
        find_videos(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("101/a.mp4,dive\n101/a.mp4,swim\n")
    with pytest.raises(VideosError, match=r"line 2: .* is of class 'dive' and 'swim': leave one"):
        find_videos(tmp_path / "list.csv")


def test_copies_are_recognised(videos, tmp_path):
    shutil.copytree(videos, tmp_path / "val")
    found, held_out = find_videos(videos), find_videos(tmp_path / "val")
    parts = {"training": found, "validation": held_out}
    looks = {part: look_at_all(videos) for part, videos in parts.items()}
    with pytest.warns(UserWarning, match="is in training and in validation, .*: 4 ") as caught:
        warn_of_copies(parts, looks)
    assert len(caught) == 1
    shutil.copy(videos / "swim/a.mp4", videos / "été/z.mp4")
    shutil.copy(videos / "swim/b.mp4", videos / "swim/z.mp4")
    found = find_videos(videos)
    with pytest.warns(UserWarning, match="the same video") as caught:
        warn_of_copies({"training": found}, {"training": look_at_all(found)})
    assert [str(warning.message) for warning in caught] == [
        "the same video is of two classes: 1 (training swim/a.mp4, training été/z.mp4)",
        "the same video is there twice: 1 (training swim/b.mp4, training swim/z.mp4)",
    ]


def test_a_video_that_cannot_be_read_is_replaced_and_listed(videos, tmp_path):
    found, input_ = find_videos(videos), Preprocessing(num_frames=2, sampling_rate=1, crop=16)
    whole = TrainingClips(found, input_, Recipe(), 0)
    expected = [whole[k] for k in range(8)]
    broken = found.paths[1]
    broken.write_bytes(b"")
    with pytest.raises(VideoError, match="is empty"):
        [whole[k] for k in range(8)]
    unreadable = Unreadable(tmp_path / "run/unreadable.jsonl")
    clips = TrainingClips(found, input_, Recipe(), 0, unreadable)
    again = [clips[k] for k in range(8)]
    same = [torch.equal(a, b) for (a, _), (b, _) in zip(again, expected, strict=True)]
    assert same.count(False) == 2  # once an epoch
    assert unreadable.read().keys() == {str(broken)}
    views = EvaluationViews(found, replace(input_, num_crops=1), unreadable=unreadable)
    assert [label for _, label in views] == [0, NO_CLASS, 1, 1]
    assert views[1][0].shape == views[0][0].shape


def test_what_has_no_class_is_left_out_of_the_scores():
    class Some(Views):
        def __getitem__(self, i):
            views, label = super().__getitem__(i)
            return views, NO_CLASS if i == 3 else label

    found = evaluate(model(), Some())
    assert found.confusion.sum() == 6
    assert found.confusion[3].sum() == 0


def test_videos_that_cannot_be_read_are_counted(videos):
    for name in ("swim/a.mp4", "swim/b.mp4"):
        (videos / name).write_bytes(b"")
    with pytest.raises(VideoError, match=r"a\.mp4: is empty; .* \(and 1 more\)$"):
        take_stock({"training": find_videos(videos)}, 0.1, 50)


def test_a_resumed_run_says_what_differs(videos, tmp_path):
    found = find_videos(videos)
    listed = found.listed
    missing = found._replace(paths=found.paths[1:], labels=found.labels[1:], names=found.names[1:])
    resumed, gone = as_begun(missing, listed)
    assert gone == ["swim/a.mp4"]
    assert (resumed.listed, resumed.paths) == (listed, [Path("swim/a.mp4"), *found.paths[1:]])
    fewer = [one for one in listed if one[0] != "swim/b.mp4"]
    settings = {"videos": fewer, "validation": fewer}
    short = replace(RECIPE, steps=1)
    losses(short, out=tmp_path / "run", settings=settings)
    for name in settings:
        with pytest.raises(RunError, match=rf"has no swim/b.mp4 of class swim in {name}"):
            losses(short, out=tmp_path / "run", resume=True, settings=settings | {name: listed})


def test_a_reason_to_stop_ends_a_run_saved(tmp_path):
    whole = losses()
    with pytest.raises(RunError, match=r"enough; saved after step 2 of 5: go on with --resume"):
        losses(out=tmp_path, report=lambda latest: "enough" if latest.step == 2 else None)
    assert losses(out=tmp_path, resume=True) == whole


def test_a_folder_belongs_to_one_run(tmp_path):
    """A run that was killed before its first save leaves files that another must not take."""
    (tmp_path / "best.safetensors").write_bytes(b"of another run")
    (tmp_path / "tensorboard/deep").mkdir(parents=True)
    with pytest.raises(RunError, match=r"holds best.safetensors of a run"):
        losses(out=tmp_path)
    losses(out=tmp_path, resume=True)
    assert not (tmp_path / "best.safetensors").exists()
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.parametrize(
    ("recipe", "mean"), [("paper", np.log(320 / 256) * 224 / 64), ("paper-ssv2", 0.7875)]
)
def test_a_clips_scale_is_uniform_in_its_side_or_for_ssv2_in_the_inverse(monkeypatch, recipe, mean):
    """The original's configs for SSv2 have `INV_UNIFORM_SAMPLE` (`datasets/transform.py`)."""
    clips, parts = import_module("timesformer_ref.training.clips"), []
    frame = np.zeros((8, 8, 3), np.uint8)
    monkeypatch.setattr(clips, "read_frames", lambda *_, **__: [frame])
    monkeypatch.setattr(clips, "cut", lambda *_: np.zeros((1, 3, 8, 8), np.float32))
    monkeypatch.setattr(clips, "_square", lambda frame, part, *_: parts.append(part) or frame)
    for k in range(500):
        rng = np.random.default_rng(k)
        clips.random_clip(Path(), Preprocessing(num_frames=1, crop=8), RECIPES[recipe], rng)
    assert (min(parts), max(parts)) == pytest.approx((224 / 320, 224 / 256), abs=1e-3)
    assert np.mean(parts) == pytest.approx(mean, abs=0.003)  # the two are 0.0065 apart


def test_stochastic_depth_is_the_recipes():
    start = checkpoint(drop_path_rate=0.0, num_labels=2)
    for rate, expected in ((0.1, 0.1), (None, 0.0)):
        recipe = replace(RECIPE, drop_path_rate=rate)
        model = model_to_train(start, Preprocessing(**INPUT), recipe)
        assert model.config.drop_path_rate == expected


def test_a_clip_is_a_function_of_its_number_and_an_epoch_is_all_videos(videos):
    found = find_videos(videos)
    input_ = Preprocessing(num_frames=2, sampling_rate=1, crop=16)

    def clips(seed):
        return TrainingClips(found, input_, Recipe(), seed)

    one, other = clips(1), clips(1)
    epochs = [[one[k][1] for k in range(4 * epoch, 4 * epoch + 4)] for epoch in range(3)]
    assert all(sorted(labels) == [0, 0, 1, 1] for labels in epochs)
    assert len(set(map(tuple, epochs))) > 1
    assert all(torch.equal(one[k][0], other[k][0]) for k in (7, 2))
    assert one[0][0].shape == (2, 3, 16, 16)
    pictures = {clips(seed)[k][0].numpy().tobytes() for seed in (1, 2) for k in (0, 4, 8)}
    assert len(pictures) == 6


def test_random_frames_stay_in_their_segments():
    assert random_segment_indices(9, np.zeros(4)).tolist() == [0, 2, 4, 6]
    assert random_segment_indices(9, np.full(4, 0.999)).tolist() == [2, 4, 6, 8]
    assert random_segment_indices(1, np.full(2, 0.999)).tolist() == [0, 0]


# The recipe for few videos


def test_the_last_blocks_alone_are_trained(tmp_path):
    recipe = replace(RECIPE, optimizer="adamw", last_blocks=1, steps=2)
    trained = model(num_hidden_layers=3)
    before = {name: weight.clone() for name, weight in trained.state_dict().items()}
    train(trained, Clips(), recipe, out=tmp_path)
    changed = {n for n, w in trained.state_dict().items() if not torch.equal(w, before[n])}
    assert changed == {n for n in before if n.startswith(("blocks.2.", "norm.", "head."))}
    again = model(num_hidden_layers=3)
    train(again, Clips(), recipe, out=tmp_path, resume=True)
    assert same_weights(again.state_dict(), trained.state_dict())


def test_all_classes_count_alike(videos):
    (videos / "swim/a.mp4").unlink()
    weights = find_videos(videos).balance
    assert weights == pytest.approx([1.5, 0.75])
    recipe, many = replace(RECIPE, steps=1), replace(RECIPE, steps=1, batch_size=8)
    whole = train(model(), Clips(), recipe, class_weights=[1.0, 0.0, 0.0, 0.0, 0.0]).losses
    parts = train(
        model(), Clips(), recipe, class_weights=[1.0, 0.0, 0.0, 0.0, 0.0], accumulate=4
    ).losses
    assert parts == pytest.approx(whole)
    assert whole[0] < losses(many)[0]


def test_colours_change_alike_in_a_whole_clip():
    frames = list(np.random.default_rng(0).integers(60, 190, (3, 4, 4, 3)).astype(np.uint8))
    assert all(map(np.array_equal, jittered(frames, 0.0, 0.0, 0.0), frames))
    brighter = np.stack(jittered(frames, 0.1, 0.0, 0.0))
    np.testing.assert_allclose(brighter, np.stack(frames) * 1.1, atol=0.5)
    grey = np.stack(jittered(frames, 0.0, 0.0, -1.0)).astype(int)
    assert np.ptp(grey, axis=-1).max() == 0
    flat = np.stack(jittered(frames, 0.0, -1.0, 0.0))
    assert np.ptp(flat) == 0


# What it starts from, and how it is judged


def test_the_classifier_is_kept_where_the_classes_are_the_same():
    fresh = model()
    start = Checkpoint(fresh.config, fresh.state_dict(), tuple("abcde"))
    assert with_classes(start, tuple("abcde"), 0) is start
    other = with_classes(start, ("a", "b"), 0)
    assert (other.labels, other.config.num_labels) == (("a", "b"), 2)
    changed = {n for n, w in other.weights.items() if not torch.equal(w, start.weights[n])}
    assert changed == {"head.weight", "head.bias"}
    assert other.weights["head.weight"].shape == (2, 16)
    turned = with_classes(start, tuple("edcba"), 0)
    assert not torch.equal(turned.weights["head.weight"], start.weights["head.weight"])


def test_an_image_vit_starts_every_attention_step(tmp_path):
    vit = model(attention_type="space_only").state_dict()
    headless = {name: w for name, w in vit.items() if not name.startswith("head.")}
    torch.save(headless, tmp_path / "vit.pth")
    start = from_image_vit(
        tmp_path / "vit.pth", ("a", "b", "c"), 0,
        attention_type="divided_space_time", num_frames=4, num_attention_heads=2,
    )  # fmt: skip
    assert (start.config.num_frames, start.config.num_labels) == (4, 3)
    for step in ("", "temporal_"):
        name = f"blocks.1.{step}attn.qkv.weight"
        assert torch.equal(start.weights[name], vit["blocks.1.attn.qkv.weight"])


@pytest.mark.parametrize("folder", [True, False])
def test_an_image_vit_of_transformers_is_known_by_its_names(tmp_path, folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        image_size=16, patch_size=8, layer_norm_eps=1e-6,
    )  # fmt: skip
    vit = transformers.ViTModel(config)
    vit.save_pretrained(tmp_path / "vit")
    if not folder:
        torch.save(vit.state_dict(), tmp_path / "vit.pth")
    start = from_image_vit(
        tmp_path / ("vit" if folder else "vit.pth"), ("a", "b"), 0,
        attention_type="space_only", num_frames=1, num_attention_heads=2,
    )  # fmt: skip
    ours = TimeSformer.from_checkpoint(start).eval()
    image = torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        expected = vit.eval()(image).last_hidden_state
        found = ours.norm(ours(image[:, None], output_hidden_states=True).hidden_states[-1])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_evaluation_counts_the_answers_of_the_views_mean():
    judged = model()
    found = evaluate(judged, Views(), videos_at_once=2)
    with torch.inference_mode():
        logits = torch.stack(
            [judged(views).logits.mean(0) for views, _ in map(Views().__getitem__, range(7))]
        )
    confusion = np.zeros((5, 5), int)
    for i, answer in enumerate(logits.argmax(1).tolist()):
        confusion[i % 5, answer] += 1
    np.testing.assert_array_equal(found.confusion, confusion)
    assert found.top1 == pytest.approx(confusion.trace() / 7)
    assert found.top5 == 1
    labels = torch.arange(7) % 5
    assert found.loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)))
    tables = make_tables(found, list("tuvwxyz"), list("abcde"))
    sure = logits.softmax(1).max(1).values.tolist()
    wrong = [n for n in range(7) if logits[n].argmax() != labels[n]]
    assert results(tables, surest=3)[-3:] == [
        f"{'tuvwxyz'[n]} of {'abcde'[labels[n]]}: {'abcde'[logits[n].argmax()]} "
        f"{100 * round(sure[n], 4):.1f} %"
        for n in sorted(wrong, key=lambda n: -sure[n])[:3]
    ]
    for (_, count, precision, recall), number in zip(
        tables["classes.csv"][1:], range(5), strict=True
    ):
        right = confusion[number, number]
        assert int(count) == confusion[number].sum()
        for score, of in ((precision, confusion[:, number]), (recall, confusion[number])):
            assert score == (f"{right / of.sum():.4f}" if of.sum() else "")
    wrong = found.confusions(3)
    assert wrong[0][0] == (confusion - np.diag(confusion.diagonal())).max()


def test_a_confusion_matrix_is_shaded_by_part_of_the_class_and_says_what_is_what(monkeypatch):
    pytest.importorskip("matplotlib")
    pictures, drawn = import_module("timesformer_ref.training.pictures"), []
    monkeypatch.setattr(pictures, "_save", lambda figure, _: drawn.append(figure.axes[0]))
    pictures.draw_confusion(np.array([[9, 1], [0, 0]]), ["a" * 30, "b"], Path("x.png"))
    pictures.draw_confusion(np.array([[1]]), ["a"], Path("x.png"))
    axes = drawn[0]
    assert axes.images[0].get_array().tolist() == [[0.9, 0.1], [0, 0]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "class")
    for names in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [name.get_text() for name in names] == ["a" * 23 + "…", "b"]
    numbers = [(t.get_position(), t.get_text(), t.get_color(), t.get_ha()) for t in axes.texts]
    assert numbers == [((0, 0), "9", "white", "center"), ((1, 0), "1", "black", "center")]
    assert [axes.get_title() for axes in drawn] == ["10 videos, 90.0 % right",
                                                    "1 videos, 100.0 % right"]  # fmt: skip


# The commands


@pytest.fixture
def words(videos, tmp_path, monkeypatch):
    """A command that trains on the videos."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint(checkpoint(preprocessing={**INPUT, "num_crops": 1}), "start.safetensors")
    words = ("train", videos, "-c", "start.safetensors", "--out", "run", "--validation", videos)
    return (*words, "--epochs", 1, "--batch", 2, "--learning-rate", 0.01, "--workers", 0)


def test_the_commands_train_evaluate_and_go_on(run, words, tmp_path):
    said = run(*words)
    assert said.code == 0, said
    assert "2 steps teach little: with so few videos use --recipe small" in said.err
    assert "the same video is in training and in validation" in said.err
    rows = logged(tmp_path)
    lines = said.out.splitlines()
    assert lines[0] == "1 epochs are 2 steps of 2 clips: 2 at once × 1 parts × 1 processes"
    assert lines[1].startswith("on cpu, in float32; memory, computed: ")
    assert [line.split() for line in lines[2:4]] == [
        ["training", "validation", "clips"], ["videos", "4", "4", "4"]
    ]  # fmt: skip
    table = next(n for n, line in enumerate(lines) if line.startswith("class "))
    assert lines[table].split() == ["class", "videos", "precision", "recall"]
    assert [line.split()[:2] for line in lines[table + 1 :][:2]] == [["swim", "2"], ["été", "2"]]
    best = rows[-1]["scores"]
    assert lines[-3] == f"best: step 2, top-1 {100 * best['top1']:.1f} %, loss {best['loss']:.3f}"
    assert lines[-2] == (
        "run: last.safetensors, best.safetensors, state.safetensors, log.jsonl, log.txt, "
        "losses.png, confusion.png, confusion.csv, classes.csv, predictions.csv"
    )
    assert lines[-1] == "next: timesformer-ref classify VIDEO --checkpoint run/best.safetensors"
    files = lines[-2].removeprefix("run: ").split(", ")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(files)
    assert (tmp_path / "run/log.txt").read_text(encoding="utf-8") == said.out
    assert [row["step"] for row in rows if "scores" in row] == [2]
    for picture in ("losses.png", "confusion.png"):
        assert (tmp_path / "run" / picture).read_bytes().startswith(b"\x89PNG")
    answer = json.loads(
        run("classify", "videos/swim/a.mp4", "-c", "run/best.safetensors", "--json").out
    )
    assert {row["label"] for row in answer["top"]} == {"swim", "été"}
    last = run(
        "evaluate", "videos", "-c", "run/last.safetensors", "--json", "--workers", 0, "--out", "e"
    )
    assert json.loads(last.out) == pytest.approx({"videos": 4, **rows[-1]["scores"]})
    names = {"confusion.png", "confusion.csv", "classes.csv", "predictions.csv"}
    assert {path.name for path in (tmp_path / "e").iterdir()} == names
    said_of = (tmp_path / "e/predictions.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[:2] for row in said_of] == [
        ["video", "class"], ["swim/a.mp4", "swim"], ["swim/b.mp4", "swim"],
        ["été/c.mp4", "été"], ["été/d.mp4", "été"],
    ]  # fmt: skip
    right = sum(row.split(",")[1] == row.split(",")[2] for row in said_of[1:])
    assert right / 4 == json.loads(last.out)["top1"]
    counts = (tmp_path / "e/confusion.csv").read_text(encoding="utf-8").splitlines()
    assert counts[0] == "class,swim,été"
    assert sum(int(n) for line in counts[1:] for n in line.split(",")[1:]) == 4
    again = run(*words, "--resume")
    assert again.code == 0
    assert again.out.splitlines()[-3:] == said.out.splitlines()[-3:]
    assert "has seed 0, not 1" in run(*words, "--resume", "--seed", 1).err
    assert "--resume it, --overwrite it" in run(*words).err
    (tmp_path / "videos/swim/a.mp4").unlink()
    fewer = run(*words, "--resume", "--most-unreadable", 0.3)
    assert "1 videos have gone since, such as swim/a.mp4" in fewer.err
    assert "validation swim/a.mp4 of class swim, not now" in fewer.err
    assert "gone since" not in run(*words, "--overwrite", "--heads", 5).err


def test_a_bad_video_does_not_end_a_run_but_too_many_do(run, words, videos, tmp_path):
    garble(videos / "swim/b.mp4")
    few = run(*words)
    assert few.code == 1
    assert "b.mp4" in few.err.splitlines()[-1]
    enough = run(*words, "--most-unreadable", 0.5)
    assert enough.code == 0
    assert ["unreadable", "1", "1"] in [line.split() for line in enough.out.splitlines()]
    rows = (tmp_path / "run/unreadable.jsonl").read_text().splitlines()
    assert {Path(json.loads(row)["video"]).name for row in rows} == {"b.mp4"}


def garble(video):
    """Leave a video's index and packets as they are, and turn over every bit within."""
    data = video.read_bytes()
    start = data.index(b"mdat") + 4
    inside = bytes(byte ^ 255 for byte in data[start:-200])
    video.write_bytes(data[:start] + inside + data[-200:])


def logged(tmp_path):
    return [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]


def when(monkeypatch, step, act):
    """Let something happen after a step of a run, once."""
    show = Reporter.__call__

    def call(self, latest):
        if latest.step == step:
            monkeypatch.setattr(Reporter, "__call__", show)
            act()
        return show(self, latest)

    monkeypatch.setattr(Reporter, "__call__", call)


def test_a_signal_ends_a_run_saved(monkeypatch):
    """A launcher passes on the signal that its processes have got already; a later one ends all."""
    command = import_module("timesformer_ref.cli.train")
    with command.signals_collected() as stopped:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stopped == ["stopped by SIGTERM"]
        monkeypatch.setattr(command, "ECHO", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_error_in_a_process_that_reads_is_reduced_to_its_own_message():
    plain_errors = import_module("timesformer_ref.cli.train").plain_errors
    whole = "Caught VideoError in DataLoader worker process 0.\n…\na.VideoError: x: is empty\n"
    for error, words in (
        (VideoError(whole), "x: is empty"),
        (ValueError("Error: a\nb"), "Error: a\nb"),
    ):
        with pytest.raises(type(error)) as caught, plain_errors():
            raise error
        assert str(caught.value) == words


def test_all_accidents_at_once_end_well(run, words, videos, tmp_path, monkeypatch):
    """Of files, of folders and of runs; what is refused stands in the tests above."""
    write_video(videos / "swim/turned.mp4", frames=7, turned=True)
    write_video(videos / "été/wide.mp4", frames=7, aspect=2)
    shutil.copy(videos / "swim/a.mp4", videos / "swim/garbled.mp4")
    garble(videos / "swim/garbled.mp4")
    (videos / "été/empty.mp4").write_bytes(b"")
    shutil.copy(videos / "été/c.mp4", videos / "swim/copy.mp4")
    (videos / "[b]ball").mkdir()
    write_video(videos / "[b]ball/only.mp4", frames=3)
    for name in ("._a.mp4", "notes.txt"):
        (videos / "swim" / name).write_text("no video")
    val = tmp_path / "val"
    shutil.copytree(videos / "swim", val / "swim")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/best.safetensors").write_bytes(b"of a run killed before its first save")
    words += ("--validation", val, "--epochs", 2, "--most-unreadable", 0.5, "--pixels", "display")
    assert "holds best.safetensors of a run" in run(*words).err.splitlines()[-1]

    when(monkeypatch, 3, lambda: signal.raise_signal(signal.SIGTERM))
    when(monkeypatch, 2, (videos / "swim/b.mp4").unlink)
    stopped = run(*words, "--overwrite")
    assert stopped.code == 1
    assert stopped.err.splitlines()[-1].endswith(
        "stopped by SIGTERM; saved after step 3 of 10: go on with --resume"
    )
    for told in (
        "passed over what is no video file: 1 (notes.txt)", "garbled.mp4", "empty.mp4",
        "of two classes: 1", "in training and in validation", "steps teach little",
        "in training or validation only: [b]ball, été",
    ):  # fmt: skip
        assert told in stopped.err
    for row in ("unreadable 2 1", "turned, or pixels not square 2 1", "of [b]ball 1 0 2"):
        assert row in [" ".join(line.split()) for line in stopped.out.splitlines()]

    gone = run(*words, "--resume")
    assert gone.code == 0, gone
    assert "1 videos have gone since, such as swim/b.mp4" in gone.err
    rows = logged(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 11))
    bad = (tmp_path / "run/unreadable.jsonl").read_text()
    assert all(name in bad for name in ("garbled.mp4", "empty.mp4", "b.mp4"))
    stored = load_checkpoint("run/best.safetensors").preprocessing
    assert stored["pixels"] == "display"  # so that evaluation sees what was learnt from
    (val / "swim/garbled.mp4").unlink()
    found = run("evaluate", val, "-c", "run/best.safetensors", "--json", "--workers", 0)
    best = max((row["scores"] for row in rows if "scores" in row), key=best_first)
    assert json.loads(found.out) == pytest.approx({"videos": 4, **best})


def best_first(scores):
    return scores["top1"], -scores["loss"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--out", "r"), 2, "start from --checkpoint"),
        (("-c", "x", "--out", __file__), 2, "is a file: name a folder"),
        (("-c", "x", "--out", "r", "--scheme", "axial"), 2, "belongs to --image-vit"),
        (("-c", "x", "--out", "r", "--recipe", "papr"), 2, "use paper or paper-ssv2"),
        (("-c", "x", "--out", "r", "--learning-rate", "-1"), 2, "learning_rate -1.0 is impossible"),
        (("-c", "x", "--out", "r", "--validation", "list.csv"), 1, "no such folder or list"),
    ],
)
def test_wrong_use_of_train_is_one_line(run, videos, words, code, told):
    one_line(run("train", videos, *words), code, told)


def test_the_learning_rate_follows_the_batch():
    choose = import_module("timesformer_ref.cli.train").choose_recipe
    assert choose("paper", {"batch_size": 16}).learning_rate == pytest.approx(0.005 / 4)
    assert choose("paper", {"batch_size": 16, "learning_rate": 0.1}).learning_rate == 0.1
    assert choose("small", {"steps": 7, "epochs": None}) == replace(
        RECIPES["small"], steps=7, epochs=None
    )


def test_a_missing_extra_is_named(run, monkeypatch):
    find = import_module("timesformer_ref.cli.console").find_spec
    command = ["train", "v", "--out", "r", "-c", "camera-motion"]
    with monkeypatch.context() as without:
        without.setattr(
            "timesformer_ref.cli.console.find_spec",
            lambda name: None if name == "tensorboard" else find(name),
        )
        said = run(*command, "--tensorboard")
        one_line(said, 1, "tensorboard is missing: pip install 'timesformer-ref[tensorboard]'")
    monkeypatch.setattr("timesformer_ref.cli.console.find_spec", lambda name: None)
    one_line(run(*command), 1, "pip install 'timesformer-ref[train]'")


def test_memory_is_left_out_where_a_later_pytorch_lacks_what_is_private_to_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._subclasses", None)
    recipe = replace(RECIPES["paper"], epochs=None, steps=100)
    *_, line = plan_run(CONFIG, recipe, 1000, 1, "no", False)
    assert line.endswith("memory, computed: not with this PyTorch")


def test_16_bits_that_accelerate_was_launched_with_are_counted_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._subclasses", None)  # saves the time of the memory
    recipe = replace(RECIPES["paper"], epochs=None, steps=100)
    for launched, chosen, half in (
        ("bf16", None, True),
        ("no", None, False),
        ("bf16", "no", False),
    ):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
        *_, line = plan_run(CONFIG, recipe, 1000, 1, chosen, False)
        assert ("float32 and 16 bits" in line) == half
