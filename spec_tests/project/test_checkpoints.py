"""Checkpoint files of every form, good and bad, to weights and back."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import resource
import stat
import time
import warnings
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from spec_tests.project.processes import FRESH, afresh, fill_disk
from spec_tests.project.tiny import (
    CONFIG,
    INPUT,
    LABELS,
    checkpoint,
    clip,
    same_weights,
)
from timesformer_ref import TimeSformer, load_checkpoint, save_checkpoint
from timesformer_ref.atomic import whole_file, whole_folder
from timesformer_ref.checkpoints import (
    Checkpoint,
    CheckpointError,
    CheckpointWarning,
    writing,
)
from timesformer_ref.checkpoints.hugging_face import rename_to_hugging_face
from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.checkpoints.variants import VARIANTS
from timesformer_ref.schemes import SCHEMES

GOLDEN = Path(__file__).parents[1] / "golden"


pytestmark = pytest.mark.usefixtures("unchecked")


@contextmanager
def refused(*words):
    """A CheckpointError of one line that holds all the words."""
    with pytest.raises(CheckpointError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message


def prefixed(prefix, weights):
    return {prefix + name: weight for name, weight in weights.items()}


def write_torch(path, content, **options):
    torch.save(content, path, **options)
    return path


def cut(path, keep):
    """Keep the first part of a file."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


# Reading: containers


CONTAINERS = {
    "model_state": lambda w: {
        "epoch": 14,
        "model_state": prefixed("model.", w),
        "optimizer_state": {"state": {}, "param_groups": []},
        "cfg": "DATA:\n  NUM_FRAMES: 96\n",
    },
    "state_dict": lambda w: {"state_dict": prefixed("module.", w), "best_acc1": 78.0},
    "model": lambda w: {"model": w, "args": {"lr": 0.1}},
    "bare": lambda w: w,
    "ordered": lambda w: collections.OrderedDict(w),
    "module.model.": lambda w: {"model_state": prefixed("module.model.", w)},
    "parameters": lambda w: {"model": {n: torch.nn.Parameter(t) for n, t in w.items()}},
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("ending", [".pyth", ".pth", ".pt", ".bin"])
def test_every_container_form_gives_the_same_weights(tmp_path, container, legacy, ending):
    expected = checkpoint(attention_type="divided_space_time").weights
    path = write_torch(
        tmp_path / f"x{ending}",
        CONTAINERS[container](expected),
        _use_new_zipfile_serialization=not legacy,
    )
    loaded = load_checkpoint(path, num_attention_heads=4)
    assert loaded.form == "original"
    assert same_weights(loaded.weights, expected)
    assert replace(loaded.config, drop_path_rate=0.0) == CONFIG
    assert loaded.arrays().keys() == expected.keys()
    assert TimeSformer.from_checkpoint(loaded)(clip()).logits.shape == (1, 5)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_the_geometry_of_every_scheme_is_read_off_the_tensors(tmp_path, scheme, qkv_bias):
    fields = {"num_channels": 1, "num_frames": 6, "num_labels": 7, "image_size": 48}
    expected = checkpoint(attention_type=scheme, qkv_bias=qkv_bias, **fields)
    path = write_torch(tmp_path / "TimeSformer_divST_96x4_224_K400.pyth", expected.weights)
    config = load_checkpoint(path, num_attention_heads=4).config
    frames = 8 if scheme == "space_only" else 6  # no tensor of space_only tells
    assert config == replace(expected.config, drop_path_rate=0.1, num_frames=frames)


def test_a_lying_config_does_not_change_the_geometry(tmp_path):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    lies = {
        "image_size": [224, 448],
        "patch_size": "16",
        "num_frames": -3,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "intermediate_size": None,
        "attention_type": "joint_space_time",
        "num_labels": 400,
        "qkv_bias": "false",
        "num_channels": 0,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    }
    edit(folder / "config.json", **lies)
    assert load_checkpoint(folder).config == CONFIG


def test_the_original_s_cfg_tells_frames_only_where_no_tensor_does(tmp_path):
    cfg = "DATA:\n  NUM_FRAMES: 6\n"
    for scheme, frames in (("divided_space_time", 4), ("space_only", 6)):
        state = {"model_state": checkpoint(attention_type=scheme).weights, "cfg": cfg}
        path = write_torch(tmp_path / f"{scheme}.pyth", state)
        assert load_checkpoint(path, num_attention_heads=4).config.num_frames == frames


def test_heads_come_from_the_argument_then_the_config_then_the_width(tmp_path):
    wide = checkpoint(hidden_size=128, num_attention_heads=8)
    folder = save_checkpoint(wide, tmp_path / "folder")
    bare = write_torch(tmp_path / "bare.pth", wide.weights)
    assert load_checkpoint(folder, num_attention_heads=16).config.num_attention_heads == 16
    assert load_checkpoint(folder).config.num_attention_heads == 8
    assert load_checkpoint(folder / "model.safetensors").config.num_attention_heads == 8
    assert load_checkpoint(bare).config.num_attention_heads == 2


def test_heads_that_cannot_be_are_refused(tmp_path):
    path = write_torch(tmp_path / "x.pth", checkpoint().weights)
    with refused(path, "no tensor shows the number of heads", "32", "num_attention_heads"):
        load_checkpoint(path)
    with refused(path, "5 heads", "width 32"):
        load_checkpoint(path, num_attention_heads=5)
    with refused(path, "num_attention_heads 0"):
        load_checkpoint(path, num_attention_heads=0)


def test_the_original_s_cfg_tells_the_input(tmp_path):
    cfg = {
        "DATA": {"MEAN": [0.1, 0.2, 0.3], "STD": [1, 2, 3], "TEST_CROP_SIZE": 48},
        "TRAIN": {"DATASET": "kinetics"},
    }
    cfg["DATA"]["SAMPLING_RATE"] = 16
    path = write_torch(tmp_path / "x.pyth", {"model_state": checkpoint().weights, "cfg": cfg})
    loaded = load_checkpoint(path, num_attention_heads=4)
    told = {"mean": (0.1, 0.2, 0.3), "std": (1, 2, 3), "crop": 48, "sampling_rate": 16}
    assert loaded.preprocessing == told
    cfg["TRAIN"]["DATASET"] = "ssv2"
    write_torch(path, {"model_state": checkpoint().weights, "cfg": yaml.safe_dump(cfg)})
    told |= {"sampling_rate": None, "channel_order": "bgr"}
    assert load_checkpoint(path, num_attention_heads=4).preprocessing == told


@pytest.mark.parametrize(
    "cfg", [None, 7, "", "- a\n- b", "{", "a: 2001-99-99", "[" * 999, "DATA: 3", ["DATA"]]
)
def test_a_cfg_of_another_form_tells_nothing(tmp_path, cfg):
    path = write_torch(tmp_path / "x.pyth", {"model_state": checkpoint().weights, "cfg": cfg})
    assert load_checkpoint(path, num_attention_heads=4).preprocessing == {}


def test_an_impossible_input_is_left_out_with_a_word(tmp_path):
    told = {"MEAN": ["a", "b", "c"], "STD": [1, 0, 1], "SAMPLING_RATE": 8, "TEST_CROP_SIZE": True}
    state = {"model_state": checkpoint().weights, "cfg": {"DATA": told}}
    path = write_torch(tmp_path / "x.pyth", state)
    with pytest.warns(CheckpointWarning) as caught:
        loaded = load_checkpoint(path, num_attention_heads=4)
    assert [str(w.message).removeprefix(f"{path}: states ").split(",")[0] for w in caught] == [
        "crop True",
        "mean ('a'",
        "std (1",
    ]
    assert loaded.preprocessing == {"sampling_rate": 8}


# Reading: folders


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_pickled_folder_loads(tmp_path):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "model.safetensors").unlink()
    renamed = rename_to_hugging_face(checkpoint().weights, CONFIG)
    write_torch(folder / "pytorch_model.bin", renamed)
    loaded = load_checkpoint(folder)
    assert same_weights(loaded.weights, checkpoint().weights)
    assert loaded.config == CONFIG


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_sharded_folder_loads_and_a_missing_shard_is_named(tmp_path, name):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "model.safetensors").unlink()
    renamed = list(rename_to_hugging_face(checkpoint().weights, CONFIG).items())
    stem, ending = name.split(".")
    weight_map = {}
    for i, part in enumerate((renamed[:20], renamed[20:])):
        shard = f"{stem}-0000{i + 1}-of-00002.{ending}"
        write = save_file if ending == "safetensors" else torch.save
        write(dict(part), folder / shard)
        weight_map |= dict.fromkeys(dict(part), shard)
    (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert same_weights(load_checkpoint(folder).weights, checkpoint().weights)
    (folder / shard).unlink()
    with refused(folder / shard, "no such file"):
        load_checkpoint(folder)


@pytest.mark.parametrize("shard", ["../evil.safetensors", "/etc/passwd", "a/b.bin", "..", ""])
def test_an_index_does_not_lead_out_of_its_folder(tmp_path, shard):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "model.safetensors").rename(tmp_path / "evil.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"timesformer.embeddings.cls_token": shard}}))
    with refused(index, repr(shard), "plain file name"):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', "[]", "nonsense", "[" * 9999])
def test_a_broken_index_is_refused(tmp_path, content):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(content)
    with refused(index):
        load_checkpoint(folder)


def test_a_plain_safetensors_file_of_either_naming_loads(tmp_path):
    weights = checkpoint().weights
    for names in (weights, prefixed("model.", weights), rename_to_hugging_face(weights, CONFIG)):
        path = tmp_path / "plain.safetensors"
        save_file(names, path, {"format": "pt", "config": "somebody else's"})
        loaded = load_checkpoint(path, num_attention_heads=4)
        assert loaded.form == "safetensors"
        assert same_weights(loaded.weights, weights)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "video_preprocessor_config.json"])
def test_a_processor_s_config_tells_the_input(tmp_path, name):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    told = {
        "crop_size": {"height": 40, "width": 40},
        "image_mean": [0.45, 0.45, 0.45],
        "image_std": [0.225, 0.225, 0.225],
        "size": {"shortest_edge": 40},
    }
    (folder / name).write_text(json.dumps(told))
    expected = {"crop": 40, "mean": (0.45,) * 3, "std": (0.225,) * 3}
    assert load_checkpoint(folder).preprocessing == expected


@pytest.mark.parametrize(
    ("told", "left_out"),
    [
        ({"image_mean": ["a"]}, "mean"),
        ({"image_mean": 0.5}, "mean"),
        ({"image_std": [1, 0, 1]}, "std"),
        ({"image_std": [1, float("nan")]}, "std"),
        ({"crop_size": {"height": -1}}, "crop"),
        ({"timesformer_ref": {"channel_order": ["bgr"]}}, "channel_order"),
        ({"timesformer_ref": {"sampling_rate": 0}}, "sampling_rate"),
    ],
)
def test_an_impossible_processor_config_is_left_out_with_a_word(tmp_path, told, left_out):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    with pytest.warns(CheckpointWarning, match=f"preprocessor_config.json: states {left_out} "):
        assert load_checkpoint(folder).preprocessing == {}


def test_labels_that_are_only_numbers_are_none(tmp_path):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    assert json.loads((folder / "config.json").read_text())["id2label"]["4"] == "LABEL_4"
    assert load_checkpoint(folder).labels is None


def test_labels_may_repeat(tmp_path):
    labels = ("a", "a", "b", "c", "d")
    folder = save_checkpoint(checkpoint(labels=labels), tmp_path / "folder")
    assert load_checkpoint(folder).labels == labels


@pytest.mark.parametrize(
    ("id2label", "words"),
    [
        ({"0": "a", "1": "b"}, ["names 2 classes", "head.weight has 5"]),
        ({str(i): "a" for i in range(1, 6)}, ["id2label", "0 to 4"]),
        ({"zero": "a"}, ["id2label"]),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, id2label, words):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    edit(folder / "config.json", id2label=id2label)
    with refused(folder, *words):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model_type": "vit"}, ["'vit'", "'timesformer'"]),
        ({"hidden_act": "relu"}, ["'relu'", "'gelu'"]),
        ({"num_attention_heads": "4"}, ["num_attention_heads '4'"]),
        ({"num_attention_heads": 5}, ["5 heads", "width 32"]),
        ({"num_attention_heads": None}, ["num_attention_heads None"]),
        ({"layer_norm_eps": "1e-6"}, ["layer_norm_eps '1e-6'"]),
        ({"drop_path_rate": 7}, ["drop_path_rate 7"]),
    ],
)
def test_what_only_the_config_tells_is_checked(tmp_path, fields, words):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    edit(folder / "config.json", **fields)
    with refused(folder, *words):
        load_checkpoint(folder)


# Writing, and round trips


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scheme", ["space_only", "joint_space_time", "divided_space_time"])
def test_original_to_hugging_face_and_back_is_equal_bit_for_bit(tmp_path, scheme, dtype):
    told = {**INPUT, "crop": 32, "num_crops": 1, "antialias": True}
    start = checkpoint(dtype, LABELS, told, attention_type=scheme)
    for name in ("a.pyth", "b", "c.pyth", "d.safetensors", "e", "f.pth"):
        save_checkpoint(start if name == "a.pyth" else loaded, tmp_path / name)
        loaded = load_checkpoint(tmp_path / name)
        assert same_weights(loaded.weights, start.weights)
        assert loaded.config == start.config
        assert loaded.labels == LABELS
        assert loaded.preprocessing == told
    stored = json.loads((tmp_path / "b/preprocessor_config.json").read_text())
    assert stored["crop_size"] == {"height": 32, "width": 32}
    assert stored["size"] == {"shortest_edge": 32}


@pytest.mark.parametrize("ending", [".pyth", ".safetensors"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_our_files_hold_every_scheme_and_every_field(tmp_path, scheme, ending):
    told = {"num_frames": 4, "crop": 32, "single_crop_scale": None, "num_crops": 1, **INPUT}
    told["antialias"] = True
    odd = {"layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.1, "drop_path_rate": 0.25}
    start = checkpoint(preprocessing=told, attention_type=scheme, **odd)
    loaded = load_checkpoint(save_checkpoint(start, tmp_path / f"x{ending}"))
    assert loaded.config == start.config
    assert loaded.preprocessing == told


def test_an_original_file_has_what_the_original_reads(tmp_path):
    path = save_checkpoint(checkpoint(preprocessing=INPUT), tmp_path / "x.pyth")
    content = torch.load(path, weights_only=True)
    assert all(name.startswith("model.") for name in content["model_state"])
    cfg = yaml.safe_load(content["cfg"])
    clips = {"NUM_FRAMES": 4, "TRAIN_CROP_SIZE": 32, "INPUT_CHANNEL_NUM": [3], "SAMPLING_RATE": 2}
    assert cfg == {
        "DATA": clips | {"MEAN": [0.4, 0.5, 0.6], "STD": [0.2, 0.25, 0.3]},
        "MODEL": {"ARCH": "vit", "NUM_CLASSES": 5},
        "TIMESFORMER": {"ATTENTION_TYPE": "divided_space_time"},
    }


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"config": 3, "labels": 1}', 5, None])
def test_a_broken_note_of_ours_is_refused(tmp_path, note):
    state = {"model_state": checkpoint().weights, "timesformer_ref": note}
    path = write_torch(tmp_path / "x.pyth", state)
    with refused(path, "its note timesformer_ref"):
        load_checkpoint(path)


@pytest.mark.parametrize("scheme", ["sparse_local_global", "axial"])
def test_a_scheme_that_hugging_face_lacks_is_refused(tmp_path, scheme):
    with refused(tmp_path / "folder", scheme, "divided_space_time", ".pyth"):
        save_checkpoint(checkpoint(attention_type=scheme), tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_a_fractional_drop_path_rate_is_written_as_0_with_a_warning(tmp_path):
    with pytest.warns(CheckpointWarning, match=r"drop_path_rate.* 0\.1 is written as 0"):
        folder = save_checkpoint(checkpoint(drop_path_rate=0.1), tmp_path / "folder")
    assert json.loads((folder / "config.json").read_text())["drop_path_rate"] == 0
    assert load_checkpoint(folder).config.drop_path_rate == 0


def test_a_model_keeps_the_labels_and_input_of_its_checkpoint(tmp_path):
    save_checkpoint(checkpoint(labels=LABELS, preprocessing=INPUT), tmp_path / "a.pyth")
    model = TimeSformer.from_pretrained(tmp_path / "a.pyth")
    loaded = load_checkpoint(model.save_pretrained(tmp_path / "b"))
    assert (loaded.labels, loaded.preprocessing) == (LABELS, INPUT)
    assert same_weights(loaded.weights, checkpoint().weights)


def test_weights_that_share_memory_or_lie_transposed_are_written(tmp_path):
    start = checkpoint()
    both = torch.randn(2, 32, 32)
    start.weights["blocks.0.attn.proj.weight"] = both[0].T
    start.weights["blocks.1.attn.proj.weight"] = both[0]
    start.weights["blocks.0.temporal_fc.weight"] = both[1].T
    for name in ("a.pyth", "b", "c.safetensors"):
        loaded = load_checkpoint(save_checkpoint(start, tmp_path / name))
        assert same_weights(loaded.weights, start.weights)


@pytest.mark.parametrize("name", ["x.onnx", "x.PYTH", "x.pt", "x.bin", "x.v1"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with refused(tmp_path / name, ".pyth", ".safetensors"):
        save_checkpoint(checkpoint(), tmp_path / name)


@pytest.mark.parametrize("name", ["x.pyth", "x.safetensors", "x"])
def test_weights_that_could_not_be_read_again_are_not_written(tmp_path, name):
    good = checkpoint()
    for wrong, word in (
        (replace(good, labels=("one",)), "names 1 classes"),
        (replace(good, config=replace(CONFIG, num_labels=6)), "head.weight"),
        (replace(good, weights={**good.weights, "more": torch.ones(2)}), "more"),
    ):
        with refused(tmp_path / name, word):
            save_checkpoint(wrong, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_folders_on_the_way_are_made_and_files_readable_by_others(tmp_path):
    old = os.umask(0o022)
    try:
        file = save_checkpoint(checkpoint(), tmp_path / "new/deep/x.pyth")
        folder = save_checkpoint(checkpoint(), tmp_path / "new/deep/x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o644}
    assert sorted(p.name for p in file.parent.iterdir()) == ["x", "x.pyth"]


def test_a_target_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder.pyth").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("text")
    with refused(tmp_path / "file", "is a file"):
        save_checkpoint(checkpoint(), tmp_path / "file")
    with refused(tmp_path / "folder.pyth", "is a folder"):
        save_checkpoint(checkpoint(), tmp_path / "folder.pyth")
    with refused(tmp_path / "full", "thesis.txt"):
        save_checkpoint(checkpoint(), tmp_path / "full")
    with refused(tmp_path / "file/x.pyth", "cannot be written"):
        save_checkpoint(checkpoint(), tmp_path / "file/x.pyth")
    assert (tmp_path / "full/thesis.txt").read_text() == "text"


@pytest.mark.parametrize("name", ["x.pyth", "x.safetensors", "x"])
def test_a_model_replaces_an_earlier_one(tmp_path, name):
    for seed in (0, 1):
        save_checkpoint(checkpoint(seed=seed, preprocessing=INPUT), tmp_path / name)
    assert same_weights(load_checkpoint(tmp_path / name).weights, checkpoint(seed=1).weights)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["x.pyth", "x.safetensors", "x"])
@pytest.mark.parametrize("old", [True, False], ids=["old file", "no file"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_exception_in_mid_write_leaves_the_old_file_or_none(
    tmp_path, monkeypatch, name, old, error
):
    if old:
        save_checkpoint(checkpoint(), tmp_path / name)

    def half(_, target, *more):
        begin(target)
        raise error

    monkeypatch.setattr(torch, "save", half)
    monkeypatch.setattr(writing, "save_file", half)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else CheckpointError
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "No space left"):
        save_checkpoint(checkpoint(seed=1), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ([name] if old else [])
    if old:
        assert same_weights(load_checkpoint(tmp_path / name).weights, checkpoint().weights)


def begin(target):
    """Write a few bytes to a path or an open file."""
    if isinstance(target, Path):
        target.write_bytes(b"half")
    else:
        target.write(b"half")


def write_half(target, writing_now):
    """Begin to write a checkpoint, and get no further."""

    def half(_, target, *more):
        begin(target)
        writing_now.set()
        time.sleep(60)

    torch.save = writing.save_file = half
    save_checkpoint(checkpoint(seed=1), target)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.pyth", "x"])
def test_a_killed_writer_leaves_the_old_file(tmp_path, name):
    save_checkpoint(checkpoint(), tmp_path / name)
    writing_now = FRESH.Event()
    writer = FRESH.Process(target=write_half, args=(tmp_path / name, writing_now))
    writer.start()
    assert writing_now.wait(60)
    writer.kill()
    writer.join()
    assert same_weights(load_checkpoint(tmp_path / name).weights, checkpoint().weights)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [name]


def write_to_a_full_disk(targets):
    """The errors of writing checkpoints where no file may grow beyond 50 kB."""
    fill_disk(50_000)
    errors = []
    for target in targets:
        with pytest.raises(CheckpointError) as caught:
            save_checkpoint(checkpoint(), target)
        errors.append(str(caught.value))
    return errors


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_an_error_that_is_none_of_writing_stays_what_it_is(tmp_path, whole):
    error = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError) as caught, whole(tmp_path / "x"):
        raise error
    assert caught.value is error
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    targets = [tmp_path / name for name in ("x.pyth", "x.safetensors", "x")]
    errors = afresh(write_to_a_full_disk, targets)
    for error, target in zip(errors, targets, strict=True):
        assert error.startswith(f"{target}: cannot be written (")
        assert "\n" not in error
    assert not list(tmp_path.iterdir())


# With transformers


def transformers_model(scheme):
    transformers = pytest.importorskip("transformers")
    fields = asdict(replace(CONFIG, attention_type=scheme)) | {"drop_path_rate": 0}
    config = transformers.TimesformerConfig(**fields)
    torch.manual_seed(0)
    model = transformers.TimesformerForVideoClassification(config).eval()
    for parameter in model.parameters():  # none of them zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("scheme", ["divided_space_time", "joint_space_time", "space_only"])
def test_a_folder_of_ours_loads_in_transformers_with_our_logits(tmp_path, scheme):
    transformers = pytest.importorskip("transformers")
    start = checkpoint(labels=LABELS, preprocessing=INPUT, attention_type=scheme)
    folder = save_checkpoint(start, tmp_path / "folder")
    theirs, report = transformers.TimesformerForVideoClassification.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert theirs.config.id2label == dict(enumerate(LABELS))
    assert theirs.config.num_labels == 5
    if scheme == "space_only":  # its forward does not average over frames
        return
    with torch.no_grad():
        ours = TimeSformer.from_checkpoint(start)(clip()).logits
        assert torch.allclose(theirs.eval()(clip()).logits, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shard", [None, "20KB"], ids=["whole", "sharded"])
@pytest.mark.parametrize("scheme", ["divided_space_time", "joint_space_time", "space_only"])
def test_a_folder_of_transformers_loads_here_with_its_logits(tmp_path, scheme, shard):
    theirs = transformers_model(scheme)
    theirs.save_pretrained(tmp_path, **({"max_shard_size": shard} if shard else {}))
    assert (tmp_path / "model.safetensors").exists() == (shard is None)
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == replace(CONFIG, attention_type=scheme)
    if scheme == "space_only":
        return
    with torch.no_grad():
        ours = TimeSformer.from_checkpoint(loaded)(clip()).logits
        assert torch.allclose(ours, theirs(clip()).logits, rtol=0, atol=1e-5)


# Resizing


def test_loading_for_another_size_resizes_as_the_original_loads(tmp_path):
    start = checkpoint()
    with safe_open(GOLDEN / "image_vit_init_larger_frame.safetensors", "pt") as golden:
        start.weights["pos_embed"] = golden.get_tensor("in.pos_embed")
        expected = golden.get_tensor("out.pos_embed")
    path = save_checkpoint(start, tmp_path / "x.pyth")
    with pytest.warns(CheckpointWarning, match=r"32 pixels.* 4 frames of 48 pixels"):
        loaded = load_checkpoint(path, image_size=48)
    assert torch.equal(loaded.weights["pos_embed"], expected)
    assert loaded.config == replace(CONFIG, image_size=48)


def test_loading_for_other_frames_resizes_the_time_table_and_says_so(tmp_path):
    told = {"num_frames": 4, "sampling_rate": 2, "crop": 32, "single_crop_scale": 40}
    path = save_checkpoint(checkpoint(torch.bfloat16, preprocessing=told), tmp_path / "x.pyth")
    with pytest.warns(CheckpointWarning, match=r"4 frames of 32 pixels.* 6 frames of 32 pixels"):
        loaded = load_checkpoint(path, num_frames=6)
    time_embed = checkpoint(torch.bfloat16).weights["time_embed"]
    assert torch.equal(loaded.weights["time_embed"], time_embed[:, [0, 0, 1, 2, 2, 3]])
    assert torch.equal(loaded.weights["pos_embed"], checkpoint(torch.bfloat16).weights["pos_embed"])
    assert loaded.config == replace(CONFIG, num_frames=6)
    assert loaded.preprocessing == {"sampling_rate": 2}  # what held for 4 frames does not for 6


def test_loading_for_the_size_it_has_changes_and_says_nothing(tmp_path):
    path = save_checkpoint(checkpoint(), tmp_path / "x.pyth")
    loaded = load_checkpoint(path, num_frames=4, image_size=32)
    assert same_weights(loaded.weights, checkpoint().weights)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"num_frames": 0}, ["num_frames 0"]),
        ({"num_frames": -1}, ["num_frames -1"]),
        ({"image_size": 0}, ["image_size 0"]),
        ({"image_size": 33}, ["image_size 33", "32 or 40"]),
    ],
)
def test_loading_for_an_impossible_size_is_refused(tmp_path, size, words):
    path = save_checkpoint(checkpoint(), tmp_path / "x.pyth")
    with refused(path, *words):
        load_checkpoint(path, **size)


# No code runs


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["x.pth", "x.pyth", "legacy.pth", "pickle.pth", "folder"])
def test_no_code_in_a_file_ever_runs(tmp_path, form):
    proof = tmp_path / "proof"
    content = {"model_state": checkpoint().weights, "cfg": Evil(proof)}
    source = path = tmp_path / form
    if form == "folder":
        source = save_checkpoint(checkpoint(), tmp_path / "folder")
        (source / "model.safetensors").unlink()
        path = source / "pytorch_model.bin"
    if form == "pickle.pth":
        path.write_bytes(pickle.dumps(content))
    else:
        write_torch(path, content, _use_new_zipfile_serialization=not form.startswith("legacy"))
    with refused(path, *(["pickle"] if form == "pickle.pth" else ["system", "refused"])):
        load_checkpoint(source)
    assert not proof.exists()


def test_no_code_in_a_cfg_ever_runs(tmp_path):
    proof = tmp_path / "proof"
    cfg = f"DATA: !!python/object/apply:os.system ['touch {proof}']"
    path = write_torch(tmp_path / "x.pyth", {"model_state": checkpoint().weights, "cfg": cfg})
    load_checkpoint(path, num_attention_heads=4)
    assert not proof.exists()


def test_a_whole_pickled_model_is_refused_and_says_what_to_save(tmp_path):
    path = write_torch(tmp_path / "x.pth", TimeSformer.from_checkpoint(checkpoint()))
    with refused(path, "TimeSformer", "state dict"):
        load_checkpoint(path)


# Wrong weights


@pytest.mark.parametrize("form", ["x.pyth", "x.safetensors", "x"])
@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("blocks.1.attn.proj.bias", lambda _: None, ["missing", "expected 32"]),
        ("time_embed", lambda w: w[:, :0], ["1 x 0 x 32", "1 x frames x width"]),
        ("pos_embed", lambda w: w[0], ["17 x 32", "1 x (1 + patches) x width"]),
        ("pos_embed", lambda w: w[:, :12], ["11 patches", "square"]),
        ("pos_embed", lambda w: w[:, :1], ["0 patches", "square"]),
        ("head.weight", lambda _: None, ["missing", "labels x width"]),
        ("head.bias", lambda w: w[:3], ["is 3, expected 5"]),
        ("head.bias", lambda _: None, ["missing", "expected 5"]),
        ("norm.weight", lambda w: w[0], ["a single number", "expected 32"]),
        ("patch_embed.proj.weight", lambda w: w[..., :4], ["32 x 3 x 8 x 4", "32 x 3 x 8 x 8"]),
        ("patch_embed.proj.weight", lambda w: w[None], ["1 x 32 x 3", "channels"]),
        ("blocks.0.mlp.fc2.weight", lambda w: w.T, ["64 x 32", "32 x 64"]),
        ("blocks.0.norm1.weight", lambda w: w / 0, ["32 of 32", "NaN"]),
        ("cls_token", lambda w: w.long(), ["holds int64, expected float32"]),
        ("cls_token", lambda w: w.bool(), ["bool", "float32"]),
        ("cls_token", lambda w: w.to(torch.float8_e4m3fn), ["float8_e4m3fn", "float32"]),
        ("blocks.7.attn.proj.bias", lambda _: torch.ones(32), ["is unexpected", "2 blocks"]),
        ("blocks.1.dance.weight", lambda _: torch.ones(2), ["2) is unexpected", "divided"]),
    ],
)
def test_a_wrong_tensor_is_named_with_what_was_found_and_expected(
    tmp_path, monkeypatch, form, name, change, words
):
    start = checkpoint()
    if (changed := change(start.weights.get(name))) is None:
        del start.weights[name]
    else:
        start.weights[name] = changed.contiguous()
    monkeypatch.setattr(writing, "check", lambda *_: None)
    if form == "x":  # unknown names have none in the other form
        names = rename_to_hugging_face(checkpoint().weights, CONFIG)
        names = dict(zip(checkpoint().weights, names, strict=True))
        folder = save_checkpoint(checkpoint(), tmp_path / form)
        renamed = {names.get(n, n): w for n, w in start.weights.items()}
        save_file(renamed, folder / "model.safetensors")
    else:
        save_checkpoint(start, tmp_path / form)
    with refused(tmp_path / form, name, *words):
        load_checkpoint(tmp_path / form)


@pytest.mark.parametrize(("name", "more"), [("temporal_fc", 3), ("0.temporal_fc", 1)])
def test_the_number_of_further_problems_is_told(tmp_path, name, more):
    weights = {n: w for n, w in checkpoint().weights.items() if name not in n}
    path = write_torch(tmp_path / "x.pth", weights)
    with refused(path, "blocks.0.temporal_fc.weight is missing", f"(and {more} more)"):
        load_checkpoint(path, num_attention_heads=4)


def test_steps_of_no_known_scheme_are_refused(tmp_path):
    weights = checkpoint().weights
    more = {n.replace("temporal", "local"): w for n, w in weights.items() if "temporal" in n}
    path = write_torch(tmp_path / "x.pth", weights | more)
    with refused(path, "local, temporal", "no known scheme"):
        load_checkpoint(path, num_attention_heads=4)


@pytest.mark.parametrize(
    "tensor",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.empty(3, device="meta"),
        lambda: torch.ones(1).expand(10**12),
        lambda: torch.ones(5).as_strided((3, 3), (1, 1)),
    ],
    ids=["sparse", "quantised", "meta", "huge", "overlapping"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # what torch says of quantised tensors
def test_tensors_that_are_not_plain_numbers_are_refused(tmp_path, tensor):
    path = write_torch(tmp_path / "x.pth", checkpoint().weights | {"cls_token": tensor()})
    assert path.stat().st_size < 1e6
    with refused(path, "tensor cls_token"):
        load_checkpoint(path, num_attention_heads=4)


def test_a_compressed_archive_is_refused_before_it_unfolds(tmp_path):
    weights = checkpoint().weights | {"more": torch.zeros(10**6)}
    plain = write_torch(tmp_path / "plain.pth", weights)
    bomb = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))
    with refused(bomb, "compressed"):
        load_checkpoint(bomb)


def test_a_weight_that_is_there_twice_is_refused(tmp_path):
    weights = checkpoint().weights
    path = write_torch(tmp_path / "x.pth", weights | prefixed("module.", weights))
    with refused(path, "cls_token is there twice", "module.cls_token"):
        load_checkpoint(path)


# Wrong files


def zipped(_):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("thesis.txt", "text")
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".pyth", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda _: b"", ["empty"]),
        (lambda _: b"<html>\nnot found\n</html>", []),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", []),
        (lambda _: bytes(range(256)) * 40, []),
        (lambda whole: whole[: len(whole) // 2], ["cut off"]),
        (lambda whole: whole[:-1], []),
        (lambda whole: whole[:6], []),
        (zipped, []),
    ],
    ids=["empty", "text", "pointer", "noise", "half", "all but one byte", "6 bytes", "zip"],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, ending, content, words):
    path = save_checkpoint(checkpoint(), tmp_path / f"x{ending}")
    path.write_bytes(content(path.read_bytes()))
    with refused(path, *words):
        load_checkpoint(path)


@pytest.mark.parametrize("form", ["x.pyth", "x.safetensors", "legacy.pth"])
def test_any_damage_is_refused_by_name_or_harmless(tmp_path, form):
    path = tmp_path / form
    narrow = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    start = checkpoint(**narrow, image_size=16, num_hidden_layers=1)
    if form == "legacy.pth":
        write_torch(path, start.weights, _use_new_zipfile_serialization=False)
    else:
        save_checkpoint(start, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(-1000, 1000, 3):  # where names and sizes are
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_checkpoint(path, num_attention_heads=2)
        except CheckpointError as error:
            refusals.append(str(error))
    assert refusals
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in refusals)


def test_a_truncated_legacy_file_is_refused_by_name(tmp_path):
    path = tmp_path / "x.pth"
    for keep in (0.01, 0.3, 0.9):
        write_torch(path, checkpoint().weights, _use_new_zipfile_serialization=False)
        with refused(cut(path, keep), "cut off"):
            load_checkpoint(path)


def test_a_text_file_is_told_as_one(tmp_path):
    path = tmp_path / "x.pyth"
    path.write_text("Not Found")
    with refused(path, "a text file ('Not Found'"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.ones(3)], ["holds a list"]),
        (torch.ones(3), ["holds a Tensor"]),
        ({}, ["no weights", "nothing"]),
        ({"epoch": 3, "lr": 0.1}, ["no weights", "'epoch', 'lr'"]),
        ({"model_state": [torch.ones(3)]}, ["holds a list"]),
        ({3: torch.ones(3)}, ["named 3"]),
        (
            {"conv1.weight": torch.ones(64, 3, 7, 7), "layer1.0.bn1.weight": torch.ones(64)},
            ["another model", "conv1.weight", "cls_token"],
        ),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path, content, words):
    path = write_torch(tmp_path / "x.pth", content)
    with refused(path, *words):
        load_checkpoint(path)


def test_a_torchscript_archive_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
        with refused(path):
            load_checkpoint(path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with refused(tmp_path, "config.json", "nothing"):
        load_checkpoint(tmp_path)
    (tmp_path / "holiday.jpg").write_text("")
    with refused(tmp_path, "config.json", "holiday.jpg"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with refused(tmp_path, "model.safetensors", "pytorch_model.bin", "config.json"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with refused(tmp_path / "config.json", "list"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff\xfe")
    with refused(tmp_path / "config.json", "JSON"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "source", ["nowhere.pyth", "no/such/model.pth", "a/b.safetensors", "~nobody-here/x.pth", ""]
)
def test_a_path_that_is_not_there_is_refused_without_asking_the_hub(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with refused(source):
        load_checkpoint(source)


# Memory


def growth(path, small):
    """How much the process grows by reading a file, as a multiple of the weights."""
    load_checkpoint(small)  # what is needed once is there before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded = load_checkpoint(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return 1024 * grown / sum(w.nbytes for w in loaded.weights.values())


@pytest.fixture(scope="module")
def big():
    """Weights of 31 MB."""
    wide = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 1536}
    return checkpoint(num_hidden_layers=1, **wide)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".pyth", ".safetensors", ""])
def test_reading_grows_the_process_by_at_most_2_2_times_the_file(tmp_path, big, ending):
    path = save_checkpoint(big, tmp_path / f"big{ending}")
    small = save_checkpoint(checkpoint(), tmp_path / f"small{ending}")
    assert 0.5 < afresh(growth, path, small) <= 2.2


def test_the_thirteen_published_geometries_are_recognised_from_shapes_alone():
    from timesformer_ref.checkpoints.geometry import infer_config
    from timesformer_ref.weights import weight_table

    for variant in VARIANTS:
        table = weight_table(variant.config)
        shapes = {name: torch.empty(w.shape, device="meta") for name, w in table.items()}
        assert infer_config(variant.file, shapes, {}) == variant.config


def test_numpy_weights_make_a_checkpoint(tmp_path):
    weights = initial_weights(CONFIG, 0)
    save_checkpoint(Checkpoint(CONFIG, weights), tmp_path / "x.safetensors")
    found = load_checkpoint(tmp_path / "x.safetensors").arrays()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_parameters_of_a_model_in_training_are_weights_too(tmp_path):
    model = TimeSformer(CONFIG)
    held = Checkpoint(CONFIG, dict(model.named_parameters()))
    for name, array in held.arrays().items():
        assert np.array_equal(array, model.get_parameter(name).detach().numpy())
    for name in ("x.pyth", "x.safetensors", "x"):
        saved = load_checkpoint(save_checkpoint(held, tmp_path / name), num_attention_heads=4)
        assert same_weights(saved.weights, model.state_dict())


def test_a_missing_temporal_weight_is_named_and_the_scheme_stays(tmp_path):
    weights = dict(checkpoint().weights)
    del weights["blocks.0.temporal_attn.qkv.weight"]
    torch.save(weights, tmp_path / "x.pyth")
    with refused("blocks.0.temporal_attn.qkv.weight is missing"):
        load_checkpoint(tmp_path / "x.pyth", num_attention_heads=4)
