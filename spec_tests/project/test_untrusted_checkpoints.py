"""Checkpoints are not trusted: what a file claims is compared with what it holds, no code runs."""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save

from spec_tests.fuzz import limits
from spec_tests.fuzz.misbehaviour import KINDS
from spec_tests.project.tiny import LABELS, checkpoint, same_weights
from timesformer_ref import load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints import CheckpointError, CheckpointWarning
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.checkpoints.labels import LabelError, read_labels

pytestmark = pytest.mark.usefixtures("unchecked")


def refused(path, match):
    """Reading is refused, in one line that begins with the path, within seconds."""
    began = time.process_time()
    with pytest.raises(CheckpointError, match=match) as caught:
        load_checkpoint(path, num_attention_heads=4)
    assert time.process_time() - began < 5
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def saved(content, legacy=False):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def with_pickle(path, change, content=None):
    """Write a file of `torch.save` whose pickle is changed."""
    entries = zipfile.ZipFile(io.BytesIO(saved(content or checkpoint().weights)))
    with zipfile.ZipFile(path, "w") as target:
        for name in entries.namelist():
            data = entries.read(name)
            target.writestr(name, change(data) if name.endswith("/data.pkl") else data)
    return path


def with_value(path, value):
    """Write weights, and beside them a value of a pickle, given by its instructions."""
    return with_pickle(path, lambda data: data.replace(b"(", b"(X\3\0\0\0odd" + value, 1))


def fresh_mass():
    """Memory of this process that is given to nobody, full of numbers."""
    for _ in range(20):
        torch.full((10**5,), 7.0)


# Wrong weights in silence


@pytest.mark.parametrize("lost", ["from the list", "cut off"])
def test_a_storage_that_an_older_file_lacks_is_not_read_from_memory(tmp_path, lost):
    data = saved({"model": checkpoint().weights}, legacy=True)
    stream, path = io.BytesIO(data), tmp_path / "x.pth"
    for _ in range(4):
        list(pickle_instructions(stream))
    at = stream.tell()
    keys = pickle.load(stream)
    end = stream.tell()
    if lost == "from the list":
        path.write_bytes(data[:at] + pickle.dumps(keys[:-1], 2) + data[end:])
    else:
        path.write_bytes(data[:-8])
    fresh_mass()
    refused(path, "tensor .* claims .* numbers, but the file holds fewer|cut off")


def pickle_instructions(stream):
    import pickletools

    return pickletools.genops(stream)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_storage_claimed_larger_than_the_file_s_is_refused(tmp_path, legacy):
    weights = checkpoint().weights
    data = saved({"cls_token": weights["cls_token"], **weights}, legacy)
    if legacy:
        path = tmp_path / "x.pth"
        path.write_bytes(data.replace(b"K ", b"M\xff\xff", 1))
    else:
        path = with_pickle(
            tmp_path / "x.pth", lambda data: data.replace(b"K tq", b"M\xff\xfftq", 1)
        )
    refused(path, "holds fewer|cut off")


def test_a_flipped_bit_is_found_by_the_archive_s_checksum(tmp_path):
    path = save_checkpoint(checkpoint(), tmp_path / "x.pyth")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 64  # of a weight
    path.write_bytes(data)
    refused(path, "tensor .* differs from its checksum")


def test_a_file_written_without_checksums_loads(tmp_path):
    from torch.utils.serialization import config

    old, config.save.compute_crc32 = config.save.compute_crc32, False
    try:
        path = save_checkpoint(checkpoint(), tmp_path / "x.pyth")
    finally:
        config.save.compute_crc32 = old
    assert same_weights(load_checkpoint(path).weights, checkpoint().weights)


@pytest.mark.parametrize("name", ["x.pyth", "x.safetensors", "x"])
def test_a_negative_bit_is_written_and_read_as_the_numbers_it_means(tmp_path, name):
    start = checkpoint()
    plain = start.weights["cls_token"].clone()
    lazy = torch.complex(plain, -plain).conj().imag
    assert lazy.is_neg()
    weights = {**start.weights, "cls_token": lazy}
    torch.save(weights, tmp_path / "torch.pth")
    read = load_checkpoint(tmp_path / "torch.pth", num_attention_heads=4)
    written = save_checkpoint(type(start)(start.config, weights), tmp_path / name)
    for found in (read, load_checkpoint(written)):
        assert torch.equal(found.weights["cls_token"], plain)


def test_numbers_of_a_machine_of_the_other_byte_order(tmp_path):
    entries = zipfile.ZipFile(io.BytesIO(saved(checkpoint().weights)))
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as target:
        for name in entries.namelist():
            data = entries.read(name)
            if "/data/" in name:
                data = struct.pack(
                    f">{len(data) // 4}f", *struct.unpack(f"<{len(data) // 4}f", data)
                )
            target.writestr(name, b"big" if name.endswith("byteorder") else data)
    loaded = load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)
    assert same_weights(loaded.weights, checkpoint().weights)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle_is_read(tmp_path, protocol):
    content = {
        "model": checkpoint().weights,
        "lr": [0.1, 10**20],
        "done": (True, None, b"x", {1, 2}),
    }
    torch.save(content, tmp_path / "x.pth", pickle_protocol=protocol)
    loaded = load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)
    assert same_weights(loaded.weights, checkpoint().weights)


def test_layers_may_share_their_weights(tmp_path):
    weights = dict(checkpoint().weights)
    for name in [name for name in weights if name.startswith("blocks.1.")]:
        weights[name] = weights[name.replace("blocks.1.", "blocks.0.")]
    torch.save(weights, tmp_path / "x.pth")
    loaded = load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)
    assert same_weights(loaded.weights, weights)


# Bombs


HUGE = b"\x8a\x05\x00\xe4\x0b\x54\x02"  # 10^10


def called(name, arguments=HUGE + b"\x85"):
    return f"c{name}\n".replace(" ", "\n").encode() + arguments + b"R"


BOMBS = {
    "torch.Tensor(n)": called("torch Tensor"),
    "a storage of n": called("torch FloatStorage"),
    "bytearray(n)": called("__builtin__ bytearray"),
    "memo": b"Nr\xff\xff\xff\xff",
    "tuples 3,000 deep": b")" + b"\x85" * 3000,
    "tuples 200,000 deep": b")" + b"\x85" * 200_000,
    "lists 50,000 deep": b"]" * 50_000 + b"a" * 49_999,
    "a tuple in a tuple, 2^60 times": b"]()q\xfe" + b"h\xfeh\xfe\x86q\xfe" * 60 + b"e",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_value_beside_the_weights_that_is_too_deep_or_too_large_is_let_lie(tmp_path, bomb):
    with_value(tmp_path / "x.pth", BOMBS[bomb])
    loaded = load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)
    assert same_weights(loaded.weights, checkpoint().weights)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"})" + b"\x85" * 3000 + b"Ns", "keys that are no plain values"),
        (b"}()q\xfe" + b"h\xfeh\xfe\x86q\xfe" * 61 + b"u", "keys that are no plain values"),
        (b"}K\1NsK\1Ns", "the key 1 twice"),
        (called("posix system"), "holds posix.system beside tensors; reading it would run code"),
        (called("builtins eval"), "holds builtins.eval"),
        (b"cposix\nsystem\n", "holds posix.system"),
        (b"\x82\1", "opcode EXT1"),
        (b"N" * 2_000_001, "more than 2,000,000 instructions"),
        (b"h\x05}b", "damaged|attributes of a tensor"),
    ],
)
def test_what_a_pickle_may_not_hold(tmp_path, value, words):
    refused(with_value(tmp_path / "x.pth", value), words)


def test_an_archive_with_two_directories_is_read_as_one_of_them_says_or_not_at_all(tmp_path):
    good, other = saved(checkpoint().weights), saved(checkpoint(seed=1).weights)
    for data in (good + other, good + other[other.index(b"PK\1\2") :], good[:-22] + other[-22:]):
        (tmp_path / "x.pth").write_bytes(data)
        try:
            loaded = load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)
        except CheckpointError:
            continue
        assert any(same_weights(loaded.weights, checkpoint(seed=i).weights) for i in (0, 1))


def test_entries_that_overlap_are_refused(tmp_path):
    data = bytearray(saved(checkpoint().weights))
    for at in [i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2"]:
        data[at + 20 : at + 28] = struct.pack("<II", len(data) - 100, len(data) - 100)
    (tmp_path / "x.pth").write_bytes(data)
    refused(tmp_path / "x.pth", "overlap|cut off")


def test_twenty_million_classes_in_a_small_file_are_refused(tmp_path):
    weights = checkpoint().weights | {"head.weight": torch.ones(1, 32).expand(20_000_000, 32)}
    torch.save(weights, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "tensor head.weight claims 640000000 numbers")


def test_names_of_twenty_thousand_blocks_are_refused_in_time(tmp_path):
    data = save(dict(checkpoint().weights))
    length = struct.unpack("<Q", data[:8])[0]
    nothing = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = {f"blocks.{i}.norm1.bias": nothing for i in range(2, 20_000)}
    text = json.dumps(header | json.loads(data[8 : 8 + length])).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    refused(path, "names 20000 blocks, but holds")


def test_thirty_thousand_names_for_one_tensor_take_no_time(tmp_path):
    one = torch.ones(10_000)
    names = {f"blocks.{i // 12}.{i % 12}.norm1.bias": one for i in range(30_000)}
    torch.save(checkpoint().weights | names, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "unexpected|claims")


def test_a_billion_frames_in_a_config_are_refused_before_memory_is_taken(tmp_path):
    start = checkpoint(attention_type="space_only")
    state = {"model_state": start.weights, "cfg": "DATA: {NUM_FRAMES: 1000000000}"}
    torch.save(state, tmp_path / "x.pyth")
    refused(tmp_path / "x.pyth", "num_frames 1000000000 of 32 x 32 pixels are more than")
    folder = save_checkpoint(start, tmp_path / "folder")
    stated = {"timesformer_ref": {"num_frames": 10**9, "sampling_rate": 1}}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    with pytest.raises(ValueError, match="num_frames 1000000000"):
        choose_preprocessing(load_checkpoint(folder))


# Other exceptions


@pytest.mark.parametrize(
    "cfg",
    [
        "a: !!bool maybe", "a: !!timestamp foo", "a: !!int ''", "[" * 60_000, "- " * 30_000,
        "a: &a {" + ",".join(f"k{i}: 1" for i in range(99)) + "}\nb: {<<: [" + "*a," * 9999 + "]}",
    ],
)  # fmt: skip
def test_an_odd_cfg_tells_nothing(tmp_path, cfg):
    torch.save({"model_state": checkpoint().weights, "cfg": cfg}, tmp_path / "x.pyth")
    began = time.process_time()
    assert load_checkpoint(tmp_path / "x.pyth", num_attention_heads=4).preprocessing == {}
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "value", [10**400, float("inf"), [[10**400]], "x" * 10**6, [[[]] * 99] * 99]
)
@pytest.mark.parametrize("field", ["MEAN", "SAMPLING_RATE", "TEST_CROP_SIZE"])
def test_an_odd_number_is_left_out_in_a_short_line(tmp_path, field, value):
    cfg = {"DATA": {field: [value] * 3 if field == "MEAN" else value}}
    torch.save({"model_state": checkpoint().weights, "cfg": cfg}, tmp_path / "x.pyth")
    with pytest.warns(CheckpointWarning, match="expected") as caught:
        load_checkpoint(tmp_path / "x.pyth", num_attention_heads=4)
    assert max(len(str(w.message)) for w in caught) < 700


@pytest.mark.parametrize("field", ["num_attention_heads", "layer_norm_eps", "drop_path_rate"])
@pytest.mark.parametrize("value", [10**400, -1, "x" * 10**6, [[[]] * 99] * 99, {}])
def test_an_odd_field_of_a_config_is_refused(tmp_path, field, value):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text()) | {field: value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=field if value != 10**400 else "") as caught:
        load_checkpoint(folder)
    assert len(str(caught.value)) < 700


def test_a_shape_with_0_and_minus_1_is_refused(tmp_path):
    def change(data):
        return data.replace(b"K\1K\1K \x87", b"K\0J\xff\xff\xff\xffK \x87", 1)

    refused(with_pickle(tmp_path / "x.pth", change), "impossible shape")


def test_attributes_of_a_dict_are_not_its_methods(tmp_path):
    value = b"ccollections\nOrderedDict\n)R}X\5\0\0\0itemsK\1sb"
    with_value(tmp_path / "x.pth", value)
    assert load_checkpoint(tmp_path / "x.pth", num_attention_heads=4).config.num_labels == 5


def test_half_a_character_is_no_label(tmp_path):
    folder = save_checkpoint(checkpoint(labels=LABELS), tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"]["3"] = "\ud800"
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, "the name of class 3 is not text")
    (tmp_path / "labels.json").write_text(json.dumps(["\ud800"] * 5))
    with pytest.raises(LabelError, match="is not text"):
        read_labels(tmp_path / "labels.json", 5)


@pytest.mark.parametrize("shard", ["x" * 256, "x\0", "\ud800", "x" * 10**6])
def test_an_odd_name_of_a_shard_is_refused(tmp_path, shard):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = {"weight_map": {"a": shard, "b": "a.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "plain file name|no such file")


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "a.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").rename(folder / "b.safetensors")
    index = {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "is in two shards")


# Messages


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"<html><head>", "a web page"),
        (b"PK\3\4" + b"\0" * 99, "cut off, damaged"),
        (b"\x93NUMPY\1\0", "not a PyTorch checkpoint"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, words)


def test_the_ending_of_a_name_does_not_decide_how_a_file_is_read(tmp_path):
    weights = checkpoint().weights
    (tmp_path / "x.pth").write_bytes(save(dict(weights)))
    (tmp_path / "x.safetensors").write_bytes(saved(weights))
    (tmp_path / "x.bin").write_bytes(saved(weights, legacy=True))
    for name, form in (
        ("x.pth", "safetensors"),
        ("x.safetensors", "original"),
        ("x.bin", "original"),
    ):
        loaded = load_checkpoint(tmp_path / name, num_attention_heads=4)
        assert same_weights(loaded.weights, weights)
        assert loaded.form == form


def test_an_archive_of_something_else_says_what_is_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("TimeSformer.pyth", "")
    refused(tmp_path / "x.pth", "an archive of .'TimeSformer.pyth'")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_folder_of_half_precision_says_how_transformers_takes_it(tmp_path, dtype):
    with pytest.warns(
        CheckpointWarning, match=r"float16, .*from_pretrained\(…, dtype=torch.float32"
    ):
        folder = save_checkpoint(checkpoint(dtype), tmp_path / "folder")
    transformers = pytest.importorskip("transformers").TimesformerForVideoClassification
    clip = torch.zeros(1, 4, 3, 32, 32)
    with pytest.raises(RuntimeError):
        transformers.from_pretrained(folder)(clip)
    assert transformers.from_pretrained(folder, dtype=torch.float32)(clip).logits.shape == (1, 5)


# What a processor states


NUMBERS = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"do_normalize": False}, {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
        ({**NUMBERS, "do_normalize": False}, {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
        ({**NUMBERS, "do_rescale": False}, {"mean": (0.5 / 255,) * 3, "std": (0.25 / 255,) * 3}),
        ({**NUMBERS, "rescale_factor": 2 / 255}, {"mean": (0.25,) * 3, "std": (0.125,) * 3}),
        ({**NUMBERS, "rescale_factor": 1 / 255}, {"mean": (0.5,) * 3, "std": (0.25,) * 3}),
        ({"crop_size": 32, "size": 40}, {"crop": 32, "single_crop_scale": 40}),
        ({"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 36}},
         {"crop": 32, "single_crop_scale": 36}),
        ({"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}}, {"crop": 32}),
        ({"do_resize": True, "resample": 2, "do_center_crop": True, "do_sample_frames": False,
          "do_convert_rgb": True, "crop_size": None, "size": None, "data_format": "x"}, {}),
    ],
)  # fmt: skip
def test_what_a_processor_states_is_followed(tmp_path, stated, found):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        loaded = load_checkpoint(folder).preprocessing
    assert loaded.keys() == found.keys()
    assert all(loaded[name] == pytest.approx(value) for name, value in found.items())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_resize", False), ("do_center_crop", False), ("resample", 3), ("do_pad", True),
        ("do_flip_channel_order", True), ("size", {"height": 32, "width": 32}), ("size", 16),
        ("rescale_factor", "x"), ("rescale_factor", 10**400), ("do_rescale", False),
        ("do_sample_frames", True), ("offset", True), ("resample", [[]]),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_said(tmp_path, key, value):
    folder = save_checkpoint(checkpoint(), tmp_path / "folder")
    (folder / "preprocessor_config.json").write_text(json.dumps({"crop_size": 32, key: value}))
    with pytest.warns(CheckpointWarning, match=f"states {key} .* not followed"):
        load_checkpoint(folder)


def test_the_directory_of_an_archive_is_not_read_if_it_is_huge(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(saved({"a": torch.zeros(3)}))
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(200):
            entry = zipfile.ZipInfo(str(number))
            entry.comment = bytes(60_000)
            archive.writestr(entry, b"")
    refused(path, r"a directory of 12,\d{3},\d{3} bytes, of at most 8,388,608")


# Many


def test_hundreds_of_made_files_are_read_or_refused():
    result = limits.fuzz("checkpoints", range(200))
    assert not result["failures"]
    assert result["outcomes"]["loaded"] > 8


@pytest.mark.slow
def test_the_limits_catch_what_they_are_for(monkeypatch):
    monkeypatch.setattr(limits, "PATIENCE", 20)
    result = limits.fuzz("misbehaviour", range(len(KINDS)))
    assert result["outcomes"] == {"nothing": 1}
    assert len(result["failures"]) == len(KINDS) - 1
    for kind, failure in zip(KINDS, result["failures"].values(), strict=False):
        assert kind in failure


@pytest.mark.slow
def test_hanging_again_and_again_ends_the_reading(monkeypatch):
    monkeypatch.setattr(limits, "PATIENCE", 5)
    hangs, harmless = (list(KINDS).index(kind) for kind in ("said nothing", ""))
    failures = limits.fuzz("misbehaviour", [hangs] * limits.HANGS + [harmless])["failures"]
    assert "said nothing" in failures[hangs]
    assert "not read" in failures[harmless]
