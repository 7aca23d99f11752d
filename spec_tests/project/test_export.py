"""Exported files compute what the NumPy implementation does; errors say what cannot be exported."""

import json

import numpy as np
import pytest
import torch

from spec_tests.project.processes import afresh, fill_disk
from spec_tests.project.tiny import INPUT, LABELS, checkpoint, command, one_line
from timesformer_ref import TimeSformer, default_model, forward
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.checkpoints.notes import KEY
from timesformer_ref.inference.fold import fold
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.use.export import export_program, run_file, write_model

SHAPE = (4, 3, 32, 32)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
BOUND = 1e-5
"""Of a logit's difference in float32, as a part of the largest logit."""


@pytest.fixture
def installed():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra `export`")


def differences(folder, scheme, ending):
    """The error of each file against the NumPy implementation, for one clip and for three."""
    loaded = checkpoint(attention_type=scheme)
    model = TimeSformer.from_checkpoint(loaded)
    pixels = torch.randint(256, (3, *SHAPE), dtype=torch.uint8)
    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))
    normalised = (pixels / 255 - mean) / std
    expected = forward(normalised.numpy(), loaded.arrays(), loaded.config).logits
    found = {}
    for name, exported, video in (
        ("model", model, normalised),
        ("folded to pixels", fold(model, MEAN, STD), pixels),
    ):
        target = folder / f"{name}{ending}"
        write_model(exported, SHAPE, target)
        for clips in (1, 3):
            logits, _ = run_file(target, video[:clips])
            assert logits.shape == (clips, 5)
            off = np.abs(logits.numpy() - expected[:clips]).max()
            found[f"{name}, {clips}"] = off / np.abs(expected).max()
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("scheme", "ending"),
    [*((scheme, ".onnx") for scheme in SCHEMES), ("divided_space_time", ".pt2")],
)
def test_a_file_answers_as_the_numpy_writing_does(scheme, ending, tmp_path):
    """In a process of its own: the shape checks of these tests cannot be traced."""
    found = afresh(differences, tmp_path, scheme, ending, seconds=300)
    assert len(found) == 4
    assert max(found.values()) < BOUND, found


def bfloat16(folder):
    """How far a program of bfloat16 is from the model, for one clip and for three."""
    model = TimeSformer.from_checkpoint(checkpoint(), dtype=torch.bfloat16)
    target, video = folder / "model.pt2", torch.randn(3, *SHAPE, dtype=torch.bfloat16)
    write_model(model, SHAPE, target)
    with torch.no_grad():
        expected = model(video).logits
    found = [run_file(target, video[:clips])[0] - expected[:clips] for clips in (1, 3)]
    return [float(off.abs().max() / expected.abs().max()) for off in found]


@pytest.mark.slow
def test_a_program_of_bfloat16_takes_any_number_of_clips(tmp_path):
    assert max(afresh(bfloat16, tmp_path, seconds=300)) < 0.05


def other_sizes(folder):
    """The same for a clip that is longer than trained, of wider frames, and two at once only."""
    loaded = checkpoint()
    target, video = folder / "model.onnx", torch.randn(2, 6, 3, 32, 48)
    write_model(TimeSformer.from_checkpoint(loaded), tuple(video.shape[1:]), target, clips=2)
    expected = forward(video.numpy(), loaded.arrays(), loaded.config).logits
    with pytest.raises(Exception, match="invalid dimensions"):
        run_file(target, video[:1])
    return np.abs(run_file(target, video)[0].numpy() - expected).max() / np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_the_resize_of_embeddings_becomes_part_of_the_file(tmp_path):
    assert afresh(other_sizes, tmp_path, seconds=300) < BOUND


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_the_command_checks_the_file_and_tells_what_its_users_need(ending, tmp_path):
    source, target = tmp_path / "tiny.safetensors", tmp_path / f"new/tiny{ending}"
    save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), source)
    said = command("export", "-c", source, "--out", target, "--frames", 2, "--uint8")
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    written, compared = said.stdout.splitlines()
    assert written == f"{target}: written, for clips of 2 x 3 x 32 x 32, uint8"
    assert float(compared.split(" by ")[-1].split()[0]) < BOUND
    note = json.loads(read_note(target))
    assert note["labels"] == list(LABELS)
    told = note["preprocessing"]
    assert (told["num_frames"], told["sampling_rate"], told["crop"]) == (2, 2, 32)
    assert told["channel_order"] == "bgr"
    assert "mean" not in told  # it is in the weights


def read_note(file):
    if file.suffix == ".pt2":
        extra = {KEY: ""}
        torch.export.load(file, extra_files=extra)
        return extra[KEY]
    import onnxruntime

    return onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map[KEY]


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match=r"eval\(\)"):
        export_program(TimeSformer.from_checkpoint(checkpoint()).train(), SHAPE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_onnx_is_refused_what_would_not_run(dtype, tmp_path):
    model = TimeSformer.from_checkpoint(checkpoint(), dtype=dtype)
    with pytest.raises(ValueError, match="use float32 or float16"):
        write_model(model, SHAPE, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "model.txt"], [".onnx or .pt2"]),
        (["--out", "."], [".onnx or .pt2"]),
        (["--out", "model.pt2", "--crop", 4], ["smaller than one patch"]),
        (["--out", "model.pt2", "--rate", "none"], ["--rate"]),
    ],
)
def test_wrong_use_is_one_line(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(checkpoint(preprocessing=INPUT), "tiny.safetensors")
    one_line(run("export", "-c", "tiny.safetensors", *arguments), 2, *words)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_frames_that_a_scheme_cannot_divide_are_refused(run, tmp_path):
    save_checkpoint(
        checkpoint(attention_type="sparse_local_global", preprocessing=INPUT),
        tmp_path / "tiny.safetensors",
    )
    said = run("export", "-c", tmp_path / "tiny.safetensors", "--out", "m.pt2", "--frames", 3)
    one_line(said, 2, "cannot divide 3 frames")


def test_a_missing_package_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr("timesformer_ref.cli.console.find_spec", lambda name: None)
    said = run("export", "--out", tmp_path / "model.onnx", "-c", default_model.NAME)
    one_line(said, 1, "timesformer-ref[export]")


def write_to_a_full_disk(target):
    """The error of writing a program where no file may grow beyond 50 kB."""
    model = TimeSformer.from_checkpoint(checkpoint())
    fill_disk(50_000)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        write_model(model, SHAPE, target)
    return str(caught.value)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    error = afresh(write_to_a_full_disk, tmp_path / "model.pt2", seconds=300)
    assert error.startswith(f"{tmp_path}/model.pt2: cannot be written (")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path):
    source = tmp_path / "tiny.safetensors"
    save_checkpoint(checkpoint(preprocessing=INPUT, num_hidden_layers=1), source)
    said = command("export", "-c", source, "--out", source / "model.pt2")
    assert said.returncode == 1
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    assert "cannot be written" in said.stderr
