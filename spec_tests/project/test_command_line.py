"""The command `timesformer-ref`, as a user meets it."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import subprocess
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file
from scipy.special import softmax

import timesformer_ref
from spec_tests.project.tiny import (
    INPUT,
    LABELS,
    Said,
    checkpoint,
    clip,
    command,
    one_line,
    same_weights,
    write_video,
)
from timesformer_ref import cli, read_clip
from timesformer_ref.checkpoints import load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints.choosing import PreprocessingWarning, choose_preprocessing
from timesformer_ref.checkpoints.variants import find_variant
from timesformer_ref.cli.options import Input
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.use.features import extract_features
from timesformer_ref.use.implementations import numpy_implementation, torch_implementation

pytestmark = pytest.mark.usefixtures("unchecked")

TOLD = ("--rate", "2", "--mean", "0.45", "--std", "0.225")
"""What keeps a checkpoint that does not tell its input from a warning."""


CLASSIFY = ("classify", "a.mp4", "-c", "told")
FEATURES = ("features", "a.mp4", "-c", "told", "--out", "x.npz")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with videos and checkpoints: `told` tells its labels and its input, `bare` none."""
    room = tmp_path_factory.mktemp("room")
    write_video(room / "a.mp4")
    save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), room / "told")
    save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), room / "told.pyth")
    torch.save({"model_state": checkpoint().weights}, room / "bare.pyth")
    save_checkpoint(checkpoint(attention_type="space_only"), room / "space_only.pyth")
    return room


@pytest.fixture
def run(run, room, monkeypatch):
    """Run the command in the room."""
    monkeypatch.chdir(room)
    return run


# classify


@pytest.mark.parametrize("backend", ["torch", "numpy", "both"])
def test_json_has_exactly_the_promised_fields(run, room, backend):
    said = run("classify", "a.mp4", "-c", "told", "--backend", backend, "--json", "--top", 2)
    assert said.code == 0
    assert said.err == ""
    assert said.out.count("\n") == 1
    answer = json.loads(said.out)
    fields = ["video", "checkpoint", "frames", "views", "backend", "top", "logits"]
    assert list(answer) == fields + ["max_difference"] * (backend == "both")
    assert (answer["video"], answer["checkpoint"]) == ("a.mp4", "told")
    assert answer["views"] == 3
    assert answer["backend"] == backend
    assert answer.get("max_difference", 0) < 1e-5
    start = checkpoint()
    expected = Preprocessing(num_frames=4, crop=32, **INPUT)
    seen = read_clip(room / "a.mp4", expected)
    assert [answer["frames"]] == seen.frames
    logits = forward(seen.video, start.arrays(), start.config).logits.mean(axis=0)
    np.testing.assert_allclose(answer["logits"], logits, rtol=0, atol=1e-5)
    probabilities = softmax(np.array(answer["logits"]))
    order = np.argsort(-probabilities)[:2]
    assert [list(row) for row in answer["top"]] == [["index", "label", "probability"]] * 2
    assert [row["index"] for row in answer["top"]] == order.tolist()
    assert [row["label"] for row in answer["top"]] == [LABELS[i] for i in order]
    np.testing.assert_allclose(
        [row["probability"] for row in answer["top"]], probabilities[order], rtol=1e-6
    )


def test_how_viewers_show_videos_is_a_warning_for_the_first_of_a_run(run, tmp_path):
    videos = [write_video(tmp_path / name, turned=True) for name in ("1.mp4", "2.mp4")]
    said = run("classify", *videos, "-c", "told")
    assert said.code == 0
    [line] = said.err.splitlines()
    assert line.startswith(f"warning: {videos[0]}: a viewer shows this video turned")
    assert line.endswith("; other videos of this run are not named")


def test_clips_and_crops_give_views(run):
    said = run("classify", "a.mp4", "-c", "told", "--json", "--clips", 2, "--crops", 1)
    answer = json.loads(said.out)
    assert answer["views"] == 2
    assert len(answer["frames"]) == 2 * 4
    assert answer["frames"][:4] != answer["frames"][4:]


def test_softmax_of_the_views_can_be_averaged_instead(run, room):
    said = run("classify", "a.mp4", "-c", "told", "--json", "--average", "softmax", "--top", 9)
    answer = json.loads(said.out)
    start = checkpoint()
    video = read_clip(room / "a.mp4", Preprocessing(num_frames=4, crop=32, **INPUT)).video
    views = forward(video, start.arrays(), start.config).logits
    found = {row["index"]: row["probability"] for row in answer["top"]}
    expected = softmax(views, axis=1).mean(axis=0)
    np.testing.assert_allclose([found[i] for i in range(5)], expected, atol=1e-6)
    np.testing.assert_allclose(answer["logits"], views.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_every_arithmetic_answers_alike(run, dtype):
    said = run("classify", "a.mp4", "-c", "told", "--json", "--backend", "both", "--dtype", dtype)
    limit = {"float64": 1e-12, "float32": 1e-5}.get(dtype, 0.1)
    assert 0 < json.loads(said.out)["max_difference"] < limit


def test_an_arithmetic_that_overflows_is_one_line(run, room):
    start = checkpoint(preprocessing=INPUT)
    start.weights["head.weight"] *= 1e6
    save_checkpoint(start, room / "huge.pyth")
    said = run("classify", "a.mp4", "-c", "huge.pyth", "--dtype", "float16")
    one_line(said, 1, "a.mp4", "not finite")


def test_for_people_one_video_is_a_table(run):
    said = run("classify", "a.mp4", "-c", "told", "--backend", "both", "--top", 5)
    assert said.code == 0
    *table, difference = said.out.splitlines()
    assert len(table) == 5
    assert all("%" in row for row in table)
    for index, label in enumerate(LABELS):  # brackets and colons too, as they are
        assert sum(row.rstrip().endswith(f"{label}  ({index})") for row in table) == 1
    assert difference.startswith("largest difference between NumPy and PyTorch: ")


def test_without_labels_classes_are_numbers(run):
    answer = json.loads(run("classify", "a.mp4", "-c", "space_only.pyth", *TOLD, "--json").out)
    assert all(row["label"] == str(row["index"]) for row in answer["top"])
    assert "class 3" in run("classify", "a.mp4", "-c", "space_only.pyth", *TOLD).out


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LABELS),
        "\r\n".join(LABELS) + "\r\n\n",
        "\ufeff" + "\n".join(LABELS),
        json.dumps(LABELS),
        "\ufeff" + json.dumps(LABELS, ensure_ascii=False),
        json.dumps(dict(enumerate(LABELS))),
        json.dumps({label: i for i, label in reversed(list(enumerate(LABELS)))}),
    ],
)
def test_labels_files_of_every_form_are_read(run, tmp_path, text):
    (tmp_path / "labels").write_text(text, encoding="utf-8")
    options = (*TOLD, "--json", "--labels", tmp_path / "labels")
    answer = json.loads(run("classify", "a.mp4", "-c", "space_only.pyth", *options).out)
    assert {row["index"]: row["label"] for row in answer["top"]} == dict(enumerate(LABELS))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\nb\n", ["of 5 classes", "found 2"]),
        (b"a\nb\nc\nd\ne\nf\n", ["of 5 classes", "found 6"]),
        (b"", ["found 0"]),
        (b"[1, 2", ["not valid JSON"]),
        (b'{"a": 0, "b": 2}', ["from 0 without a gap"]),
        (b'{"a": 0, "b": 0}', ["found 1"]),
        (b'{"a": "first"}', ["from 0 without a gap"]),
        (b'{"a": null}', ["from 0 without a gap"]),
        (b"\xff\xfe\x00", ["not readable as text"]),
        (b"[" * 99999, ["not valid JSON"]),
        (None, ["not readable"]),
    ],
)
def test_a_wrong_labels_file_is_one_line(run, tmp_path, content, words):
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    said = run("classify", "a.mp4", "-c", "told", "--labels", path)
    one_line(said, 1, path, *words)


def test_several_videos_and_folders_are_a_line_each_and_one_bad_one_stops_none(run, tmp_path):
    folder = tmp_path / "holiday videos"
    folder.mkdir()
    good = [folder / "[bold] b.mp4", folder / "[red].mp4", folder / "é :smile:.MP4"]
    for path in good:
        write_video(path)
    (folder / "c.mp4").write_text("no video")
    (folder / "notes.txt").write_text("not looked at")
    missing = tmp_path / "missing.mp4"
    said = run("classify", folder, missing, "a.mp4", "-c", "told", "--json")
    assert said.code == 1
    found = [json.loads(line)["video"] for line in said.out.splitlines()]
    assert found == [*map(str, sorted(good)), "a.mp4"]
    passed_over, bad, absent, count = said.err.splitlines()
    assert passed_over.endswith("passed over what is no video file: 1 (notes.txt)")
    assert bad.startswith(f"error: {folder / 'c.mp4'}: ")
    assert absent.startswith(f"error: {missing}: no such file")
    assert count == "2 of 6 videos could not be classified"
    people = run("classify", folder, "a.mp4", "-c", "told", "--top", 1)
    assert [line.partition(": ")[0] for line in people.out.splitlines()[:2]] == [
        *map(str, sorted(good)[:2])
    ]
    assert all("%" in line for line in people.out.splitlines())


def test_the_progress_bar_shows_names_as_they_are(run, tmp_path, monkeypatch):
    with (tmp_path / "screen").open("w") as screen:
        monkeypatch.setattr(
            "timesformer_ref.cli.console.err", Console(file=screen, force_terminal=True, width=200)
        )
        path = write_video(tmp_path / "[red] [bold]x.mp4")
        said = run("classify", path, "-c", "told", "--json")
    assert said.code == 0
    assert len(said.out.splitlines()) == 1
    assert "[red] [bold]x.mp4" in (tmp_path / "screen").read_text()


def test_one_bad_video_is_one_line(run, tmp_path):
    path = tmp_path / "bad.mp4"
    path.write_text("no video")
    one_line(run("classify", path, "-c", "told"), 1, path)
    one_line(run("classify", tmp_path / "none.mp4", "-c", "told"), 1, "none.mp4", "no such file")


def test_a_folder_without_videos_is_wrong_use(run, tmp_path):
    one_line(run("classify", tmp_path, "-c", "told"), 2, tmp_path, "no video file")


# How frames are sampled and normalised


def test_a_warning_says_when_nothing_tells_the_input(run):
    said = run("classify", "a.mp4", "-c", "bare.pyth", "--heads", 4, "--json")
    assert said.code == 0
    assert said.err.count("\n") == 1
    assert said.err.startswith("warning: ")
    for word in ("4 frames x 32", "rate 32", "mean 0.45", "std 0.225", "--variant", "--rate"):
        assert word in said.err
    quiet = run("classify", "a.mp4", "-c", "bare.pyth", "--heads", 4, "--json", *TOLD)
    assert quiet.err == ""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--rate", 3], {"sampling_rate": 3}),
        (["--rate", "segments"], {"sampling_rate": None}),
        (["--frames", 6], {"num_frames": 6}),
        (["--crop", 40], {"crop": 40}),
        (["--mean", "0.1"], {"mean": (0.1, 0.1, 0.1)}),
        (["--mean", "0.1,0.2,0.3"], {"mean": (0.1, 0.2, 0.3)}),
        (["--std", "1,2,3"], {"std": (1.0, 2.0, 3.0)}),
        (["--channel-order", "rgb"], {"channel_order": "rgb"}),
    ],
)
def test_flags_go_before_what_the_checkpoint_tells(run, room, flags, expected):
    said = run("classify", "a.mp4", "-c", "told", "--json", "--crops", 1, *flags)
    assert said.err == ""
    start = checkpoint()
    fields = {"num_frames": 4, "crop": 32, **INPUT, **expected}
    seen = read_clip(room / "a.mp4", Preprocessing(**fields), num_crops=1)
    answer = json.loads(said.out)
    assert [answer["frames"]] == seen.frames
    logits = forward(seen.video, start.arrays(), start.config).logits[0]
    np.testing.assert_allclose(answer["logits"], logits, rtol=0, atol=1e-5)


def test_a_variant_goes_before_what_the_checkpoint_tells_and_flags_before_it():
    start = checkpoint(preprocessing=INPUT)
    ssv2 = find_variant("ssv2 hr")
    with pytest.warns(PreprocessingWarning, match="trained for 4 of 32"):
        assert choose_preprocessing(start, ssv2) == ssv2.preprocessing
    with warnings.catch_warnings(action="error"):
        asked = choose_preprocessing(start, ssv2, {"num_frames": 4, "crop": 32})
    assert (asked.num_frames, asked.crop, asked.sampling_rate) == (4, 32, None)
    assert asked.channel_order == "bgr"
    assert asked.scale(1) > 32  # the variant's own scale belonged to its crop
    options = Input(variant="ssv2 hr", frames=4, crop=32, mean="0.5")
    given = {"num_frames": 4, "crop": 32, "mean": (0.5,) * 3}
    assert options.choose(start) == choose_preprocessing(start, ssv2, given)


def test_a_published_geometry_needs_no_flags():
    start = checkpoint()
    ssv2 = find_variant("ssv2 hr")
    published = type(start)(ssv2.config, {})
    assert choose_preprocessing(published) == ssv2.preprocessing
    told = type(start)(ssv2.config, {}, None, {"mean": (0.5, 0.5, 0.5)})
    with pytest.warns(PreprocessingWarning, match=r"states mean \(0.5, 0.5, 0.5\), which is"):
        chosen = choose_preprocessing(told)
    assert (chosen.mean, chosen.channel_order) == ((0.5, 0.5, 0.5), "bgr")
    asked = choose_preprocessing(told, None, {"mean": (0.1,) * 3, "sampling_rate": 8})
    assert (asked.mean, asked.sampling_rate, asked.std) == ((0.1,) * 3, 8, (0.225,) * 3)


def test_a_told_crop_that_is_not_the_size_of_the_positions_is_warned_of():
    start = checkpoint(preprocessing=INPUT | {"crop": 24})
    with pytest.warns(PreprocessingWarning, match="crops of 24 pixels, its positions are those of"):
        assert choose_preprocessing(start).crop == 24
    with warnings.catch_warnings(action="error"):
        assert choose_preprocessing(start, None, {"crop": 24}).crop == 24


def test_a_grey_model_reads_grey_frames(run, room):
    save_checkpoint(checkpoint(num_channels=1), room / "grey.pyth")
    assert run("classify", "a.mp4", "-c", "grey.pyth", *TOLD, "--json").code == 0


@pytest.mark.parametrize("name", ["k400", "timesformer", "hr", ""])
def test_an_ambiguous_variant_is_answered_with_the_choices(run, name):
    said = run("classify", "a.mp4", "-c", "told", "--variant", name)
    one_line(said, 2, "published variants: choose from", "TimeSformer_divST_16x16_448_K400")


def test_an_unknown_variant_is_answered_with_all_choices(run):
    said = run("classify", "a.mp4", "-c", "told", "--variant", "imagenet")
    one_line(said, 2, "'imagenet' is no published variant", "_SSv2", "_HowTo100M")


# Wrong use


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dance"], ["dance", "No such command"]),
        (["classify"], ["VIDEO"]),
        ([*CLASSIFY, "--backend", "jax"], ["--backend", "jax", "numpy"]),
        ([*CLASSIFY, "--crops", "2"], ["--crops 2", "1 or 3"]),
        ([*CLASSIFY, "--clips", "0"], ["--clips"]),
        ([*CLASSIFY, "--top", "many"], ["--top"]),
        ([*CLASSIFY, "--frames", "-3"], ["--frames"]),
        ([*CLASSIFY, "--rate", "0"], ["--rate 0", "segments"]),
        ([*CLASSIFY, "--rate", "fast"], ["--rate fast", "segments"]),
        ([*CLASSIFY, "--mean", "grey"], ["--mean grey", "a,b,c"]),
        ([*CLASSIFY, "--mean", "nan"], ["--mean nan", "a,b,c"]),
        ([*CLASSIFY, "--mean", ""], ["--mean", "a,b,c"]),
        ([*CLASSIFY, "--mean", "1,2"], ["mean has 2", "std 3"]),
        ([*CLASSIFY, "--std", "0"], ["std", "above 0"]),
        ([*CLASSIFY, "--crop", "4"], ["4 x 4", "8 x 8"]),
        ([*CLASSIFY, "--rate", "segments", "--clips", "2"], ["segments"]),
        ([*CLASSIFY, "--channel-order", "cmyk"], ["cmyk", "bgr"]),
        ([*CLASSIFY, "--device", "meta"], ["--device meta"]),
        ([*CLASSIFY, "--device", "toaster"], ["--device toaster"]),
        ([*CLASSIFY, "--dtype", "int8"], ["--dtype", "int8", "float32"]),
        ([*CLASSIFY, "--heads", "0"], ["--heads"]),
        (["features", "a.mp4", "-c", "told"], ["--out"]),
        (["features", "a.mp4", "-c", "told", "--out", "x.txt"], ["x.txt", ".npz", ".safetensors"]),
        (["features", "a.mp4", "-c", "told", "--out", "a.mp4"], ["a.mp4", ".npz"]),
        ([*FEATURES, "--block", "3"], ["3", "2 blocks"]),
        ([*FEATURES, "--block", "-1"], ["--block"]),
        ([*FEATURES, "--backend", "both"], ["both"]),
        ([*FEATURES, "--crop", "4"], ["4 x 4"]),
        ([*FEATURES, "--clips", "2", "--rate", "segments"], ["segments"]),
        (["inspect"], ["CHECKPOINT"]),
        (["convert", "told"], ["TARGET"]),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(run, arguments, words):
    one_line(run(*arguments), 2, *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(run):
    one_line(run("classify", "a.mp4", "-c", "told", "--device", "cuda"), 2, "--device cuda")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify", "a.mp4", "-c", "none.pyth"], ["none.pyth: no such file"]),
        (["classify", "a.mp4", "-c", "a.mp4"], ["a.mp4", "not a PyTorch checkpoint"]),
        (["classify", "a.mp4", "-c", "bare.pyth"], ["bare.pyth", "heads"]),
        ([*CLASSIFY, "--heads", "5"], ["5 heads", "width 32"]),
        (["features", "a.mp4", "-c", "told", "--out", "a.mp4/x.npz"], ["a.mp4/x.npz: cannot be"]),
        (["inspect", "a.mp4"], ["a.mp4", "not a PyTorch checkpoint"]),
        (["convert", "told", "."], ["a.mp4", "choose another folder"]),
        (["convert", "told", "x", "--size", "33"], ["image_size 33", "32 or 40"]),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(run, arguments, words):
    one_line(run(*arguments), 1, *words)


def test_interrupting_is_no_traceback(run, monkeypatch):
    from timesformer_ref.use import classify

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(classify, "read_clip", interrupted)
    assert run("classify", "a.mp4", "-c", "told") == Said(130, "", "")


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_too_little_memory_is_one_line(run, monkeypatch, error):
    from timesformer_ref.use import classify

    def large(*_, **__):
        raise error("Unable to allocate 1.31 TiB\nfor an array")

    monkeypatch.setattr(classify, "read_clip", large)
    one_line(run(*CLASSIFY), 1, "Unable to allocate 1.31 TiB for an array")


@pytest.fixture
def broken(room, monkeypatch):
    """A library that has changed under us."""
    from timesformer_ref.use import classify

    monkeypatch.chdir(room)

    def changed(*_, **__):
        raise TypeError("open() got an unexpected\nkeyword argument")

    monkeypatch.setattr(classify, "read_clip", changed)


@pytest.mark.usefixtures("broken")
def test_an_unforeseen_error_is_a_line_with_the_versions_to_report(run):
    place = r"TypeError: open\(\) got an unexpected keyword argument \(at use/classify.py:\d+\)"
    versions = [
        "report this line",
        f"Python {platform.python_version()}",
        f"torch {version('torch')}",
    ]
    said = run(*CLASSIFY)
    one_line(said, 1, *versions, f"av {version('av')}", "numpy ", "--debug")
    assert re.search(place, said.err)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("arguments", [("--debug", *CLASSIFY), (*CLASSIFY, "--debug")])
def test_debug_shows_the_traceback(unchecked, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["timesformer-ref", *arguments])
    with pytest.raises(TypeError, match="unexpected"):
        cli.main()


def test_debug_after_two_dashes_is_not_ours():
    assert cli._without_debug(["conform", "a", "--", "--debug"]) == (
        ["conform", "a", "--", "--debug"], False
    )  # fmt: skip


def test_a_video_that_may_not_be_read_does_not_stop_the_rest(run, monkeypatch):
    from timesformer_ref.use import classify

    def locked(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(classify, "read_clip", locked)
    said = run("classify", "a.mp4", "b.mp4", "-c", "told")
    assert said.code == 1
    assert said.err.splitlines()[:2] == [f"error: {x}.mp4: Permission denied" for x in "ab"]


# features


@pytest.mark.parametrize("model", ["told.pyth", "space_only.pyth"])
@pytest.mark.parametrize(("ending", "backend"), [("npz", "torch"), ("safetensors", "numpy")])
@pytest.mark.parametrize("block", [0, 1, 2, None])
def test_features_hold_what_the_block_returns(run, room, tmp_path, model, ending, backend, block):
    target = tmp_path / "new" / f"x.{ending}"
    wanted = [] if block is None else ["--block", block]
    crops = ["--crops", 3, *TOLD]
    said = run("features", "a.mp4", "-c", model, "--out", target, "--backend", backend,
               *crops, *wanted)  # fmt: skip
    assert said.code == 0, said
    assert said.out.startswith(f"{target}: class_token 3 x 32, patches 3 x 4 x 4 x 4 x 32")
    found = dict(np.load(target)) if ending == "npz" else load_file(target)
    start = load_checkpoint(room / model)
    given = {"sampling_rate": 2, "mean": (0.45,) * 3, "std": (0.225,) * 3}
    seen = read_clip(room / "a.mp4", choose_preprocessing(start, None, given))
    output = forward(seen.video, start.arrays(), start.config, output_hidden_states=True)
    tokens = output.hidden_states[2 if block is None else block]
    last = block in (None, 2)
    assert sorted(found) == ["class_feature"] * last + ["class_token", "frames", "patches"]
    assert found["frames"].tolist() == seen.frames
    if model == "space_only.pyth":
        tokens = tokens.reshape(3, 4, 17, 32)
        patches = tokens[:, :, 1:].reshape(3, 4, 4, 4, 32)
        np.testing.assert_allclose(found["class_token"], tokens[:, :, 0].mean(1), atol=1e-5)
    else:
        patches = tokens[:, 1:].reshape(3, 4, 4, 4, 32).transpose(0, 3, 1, 2, 4)
        np.testing.assert_allclose(found["class_token"], tokens[:, 0], atol=1e-5)
    np.testing.assert_allclose(found["patches"], patches, atol=1e-5)
    if last:
        head = start.arrays()
        logits = found["class_feature"] @ head["head.weight"].T + head["head.bias"]
        np.testing.assert_allclose(logits, output.logits, atol=1e-5)


def test_a_block_that_is_not_there_is_refused():
    start = checkpoint()
    for run in (
        torch_implementation(start, "cpu", output_hidden_states=True),
        numpy_implementation(start, output_hidden_states=True),
    ):
        for block in (-1, 3):
            with pytest.raises(ValueError, match=f"block {block} .* to 2"):
                extract_features(start, clip().numpy(), block, run)


def test_features_do_not_replace_what_they_are_made_of(run, tmp_path):
    model = save_checkpoint(checkpoint(preprocessing=INPUT), tmp_path / "x.safetensors")
    said = run("features", "a.mp4", "-c", model, "--out", model)
    one_line(said, 2, model, "replace")
    load_checkpoint(model)
    (tmp_path / "folder.npz").mkdir()
    said = run("features", "a.mp4", "-c", model, "--out", tmp_path / "folder.npz")
    one_line(said, 2, "folder.npz", "is a folder")


# inspect, convert


def test_inspect_tells_what_a_checkpoint_is(run):
    said = run("inspect", "told")
    assert said.code == 0
    for word in (
        "Hugging Face",
        "divided_space_time (temporal, then spatial)",
        "4 frames of 32 x 32 pixels, 3 channels",
        "4 x 4 a frame, of 8 x 8 pixels",
        "2, width 32, 4 heads, MLP 64, with qkv bias",
        "5 (dancing, jumping, été, …)",
        "float32",
        "none of this geometry",
        "sampling_rate 2",
        "channel_order bgr",
    ):
        assert word in said.out
    assert re.search("^problems +none: ", said.out, re.MULTILINE)
    assert "not stated" in run("inspect", "bare.pyth", "--heads", 4).out


def test_inspect_names_the_published_model_of_this_geometry(run, monkeypatch):
    variant = find_variant("facebook/timesformer-base-finetuned-k400")
    monkeypatch.setattr(
        "timesformer_ref.checkpoints.variants.matching_variant", lambda config: variant
    )
    said = run("inspect", "bare.pyth", "--heads", 4).out
    assert f"the geometry of {variant.name}" in said
    assert "as the published variant" in said


@pytest.mark.parametrize("source", ["told", "told.pyth"])
def test_convert_goes_every_way_and_back_bit_for_bit(run, tmp_path, source):
    expected = checkpoint(labels=LABELS, preprocessing=INPUT)
    for name in ("a.pyth", "b", "c.safetensors", "d.pth", "e.safetensors", "f"):
        target = tmp_path / "new" / name
        said = run("convert", source, target)
        assert said.code == 0, said
        assert said.out == f"{target}: written, {len(expected.weights)} tensors\n"
        loaded = load_checkpoint(target)
        assert same_weights(loaded.weights, expected.weights)
        assert (loaded.labels, loaded.preprocessing) == (LABELS, INPUT)
        source = target


def test_convert_onto_its_own_source_leaves_a_whole_file(run, tmp_path):
    for name in ("a.pyth", "b.safetensors", "c"):
        path = save_checkpoint(checkpoint(preprocessing=INPUT), tmp_path / name)
        assert run("convert", path, path).code == 0
        assert same_weights(load_checkpoint(path).weights, checkpoint().weights)


def test_convert_onto_itself_by_another_path_leaves_a_whole_folder(run, tmp_path):
    path = save_checkpoint(checkpoint(preprocessing=INPUT), tmp_path / "x")
    assert run("convert", path, path / ".." / "x").code == 0
    assert same_weights(load_checkpoint(path).weights, checkpoint().weights)
    assert list(tmp_path.iterdir()) == [path]


def test_convert_stores_labels_in_every_form(run, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    for name in ("a.pyth", "b.safetensors", "c"):
        said = run(
            "convert", "space_only.pyth", tmp_path / name, "--labels", tmp_path / "labels.txt"
        )
        assert said.code == 0
        assert load_checkpoint(tmp_path / name).labels == LABELS


def test_convert_resizes_and_says_so(run, tmp_path):
    said = run("convert", "told", tmp_path / "x.pyth", "--frames", 8, "--size", 64)
    assert said.code == 0
    assert said.err.startswith("warning: told: trained for 4 frames of 32 pixels")
    config = load_checkpoint(tmp_path / "x.pyth").config
    assert (config.num_frames, config.image_size) == (8, 64)


def test_convert_takes_the_number_of_heads(run, tmp_path):
    assert run("convert", "bare.pyth", tmp_path / "x.pyth", "--heads", 8).code == 0
    assert load_checkpoint(tmp_path / "x.pyth").config.num_attention_heads == 8


def test_convert_says_what_the_form_cannot_hold(run, tmp_path):
    for scheme, rate, code in (("axial", 0.0, 1), ("divided_space_time", 0.1, 0)):
        source = save_checkpoint(
            checkpoint(attention_type=scheme, drop_path_rate=rate), tmp_path / "x.pyth"
        )
        said = run("convert", source, tmp_path / "y")
        assert said.code == code
        assert said.err.startswith("error: " if code else "warning: ")
        assert (scheme if code else "drop_path_rate") in said.err


# In a process of its own


def test_the_module_runs_and_help_is_for_newcomers(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said, overview = command("--help"), run("--help").out
    assert said.returncode == 0
    assert said.stdout.startswith("Usage: python -m timesformer_ref ")
    assert said.stdout.partition("\n")[2] == overview.partition("\n")[2]
    assert run().out == overview
    for name in ("classify", "attend", "features", "inspect", "convert"):
        assert f"\n  {name} " in overview
        page = run(name, "--help").out
        assert all(len(line) <= 80 for line in page.splitlines())
        assert "…" not in page.replace("mps, …", "")


@pytest.mark.slow
def test_exit_codes_and_streams_of_the_real_command(room):
    said = command("classify", "a.mp4", "-c", "told", "--json", cwd=room)
    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads(said.stdout)["video"] == "a.mp4"
    said = command("dance")
    one_line(Said(said.returncode, said.stdout, said.stderr), 2, "dance")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_reader_that_goes_away_is_no_traceback(option):
    script = f"{sys.executable} -m timesformer_ref {option} | true"
    done = subprocess.run(script, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("encoding", "options", "lines"), [("utf-8", ["--json"], 1), ("ascii", ["--top", "5"], 5)]
)
def test_names_that_the_terminal_cannot_show_are_no_failure(
    run, tmp_path, monkeypatch, encoding, options, lines
):
    path = write_video(tmp_path / "x.mp4").rename(tmp_path / os.fsdecode(b"\xff.mp4"))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    said = run("classify", path, "-c", "told", *options)
    assert (said.code, said.err) == (0, "")
    assert terminal.buffer.getvalue().count(b"\n") == lines


@pytest.mark.parametrize("target", ["a.mp4", "x.onnx"])
def test_an_ending_that_tells_no_form_is_wrong_use(run, target):
    one_line(run("convert", "told", target), 2, target, "NAME.pyth")


def test_inspect_lists_every_problem_beside_what_the_file_is(run, room):
    start = checkpoint()
    broken = dict(start.weights)
    del broken["blocks.1.mlp.fc2.bias"]
    broken["norm.weight"] = broken["norm.weight"][:-1]
    broken["norm.bias"] = broken["norm.bias"] * float("nan")
    broken["\x1b[31mred"] = torch.ones(1)
    torch.save(broken, room / "broken.pyth")
    said = run("inspect", "broken.pyth", "--heads", 4)
    assert said.code == 1
    for words in ("divided_space_time", "blocks.1.mlp.fc2.bias is missing", "norm.weight is 31"):
        assert words in said.out
    assert "norm.bias has 32 of 32 numbers that are NaN" in said.out
    assert "\x1b" not in said.out


def test_numbers_that_overflow_in_one_model_do_not_stop_the_other_videos(run, room):
    start = checkpoint(preprocessing=INPUT)
    start.weights["head.weight"] *= 1e6
    save_checkpoint(start, room / "huge.pyth")
    said = run("classify", "a.mp4", "a.mp4", "-c", "huge.pyth", "--dtype", "float16")
    assert said.code == 1
    assert said.err.count("not finite") == 2


def test_no_help_text_shows_names_of_the_code(run):
    for name in ("classify", "attend", "features", "inspect", "convert", "bench"):
        assert "options." not in run(name, "--help").out


def test_the_version_is_the_packages(run):
    assert run("--version").out == f"timesformer-ref {version('timesformer-ref')}\n"
    assert timesformer_ref.__version__ == version("timesformer-ref")
