"""Checkpoints of every form, changed where their structure is, and read as users read them.

A file starts as a good one. What is changed is drawn by the seed: names, values of configs, the
instructions of a pickle, the directory of an archive, the header of safetensors, tensors, or bytes.
"""

from __future__ import annotations

import io
import itertools
import json
import pickle
import pickletools
import random
import struct
import warnings
import zipfile
from contextlib import suppress

import torch
from safetensors.torch import save

from spec_tests.project import forms
from spec_tests.project.tiny import LABELS, checkpoint, same_weights
from timesformer_ref import load_checkpoint, save_checkpoint
from timesformer_ref.checkpoints import CheckpointError
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.checkpoints.hugging_face import FIXED, config_json, preprocessor_json
from timesformer_ref.checkpoints.labels import LabelError, read_labels
from timesformer_ref.checkpoints.notes import KEY, write_note

NARROW = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "image_size": 16}
START = [
    checkpoint(num_hidden_layers=1, attention_type=scheme, labels=LABELS, **NARROW)
    for scheme in ("divided_space_time", "space_only", "axial")
]

VALUES = (
    0, -1, 1, 2**31, 10**9, 10**400, 1e-320, 1e308, float("inf"), float("nan"), True, None, "", "7",
    "\ud800", "x" * 9999, "../x", "/etc/passwd", "x" * 256, "a\0b", [], {}, [1], [None], [10**400],
    {"a": {}}, ["\ud800"] * 5, [0.5, 0.5, 0.5], {"height": 10**9}, {"0": "a"}, "LABEL_0", "gelu",
    "bgr", 224, 0.5, [[[[]]]], {"height": 16, "width": 32}, {"shortest_edge": 10**12},
)  # fmt: skip
"""What may stand where a config has something else."""

CFGS = (
    "DATA: !!bool maybe", "DATA: {MEAN: !!timestamp foo}", "a: &a [*a]", "? [1]\n: 2", "!!int ''",
    "DATA: {MEAN: [1e400, 1, 1]}", "a: !!python/object/apply:os.system [true]", "- " * 5000,
    "DATA: {SAMPLING_RATE: " + "9" * 400 + "}", "[" * 9000, "{" * 9000, "a: 2001-99-99", "\t", "&",
    "a: &a [" + "x," * 3000 + "]\n" + "".join(f"b{i}: [*a,*a,*a]\n" for i in range(3000)),
    "a: &a {" + ",".join(f"k{i}: 1" for i in range(3000)) + "}\n<<: [" + "*a," * 3000 + "]",
    "DATA: {NUM_FRAMES: 1000000000}", "DATA: {TEST_CROP_SIZE: [1]}", "TRAIN: {DATASET: [ssv2]}",
    "a: " + "1:" * 20000 + "1", "!!binary x", "!!set {a, b}", "DATA: {MEAN: .nan, STD: [0, 0, 0]}",
)  # fmt: skip


GLOBALS = (
    "posix system", "builtins eval", "builtins getattr", "torch Tensor", "torch FloatStorage",
    "torch load", "__builtin__ bytearray", "__builtin__ set", "collections OrderedDict",
    "collections Counter", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    "torch._tensor _rebuild_from_type_v2", "torch._utils _rebuild_sparse_tensor", "torch Size",
    "torch.nn.parameter Parameter", "torch.serialization _get_layout", "torch float16",
    "torch qint8",
)  # fmt: skip

SNIPPETS = (
    *(bytes([b]) for b in b"}])(\x85\x86\x87R\x81bQsuaetN\x88\x890112.\x8fo\x90\x94\x93\x92"),
    *(f"c{name}\n".replace(" ", "\n").encode() for name in GLOBALS),
    b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"K\x00", b"\x8a\xff" + b"\x7f" * 255,
    b"X\xff\xff\xff\xff",
    b"r\xff\xff\xff\xff", b"j\xff\xff\xff\x7f", b"h\x05", b"X\x03\0\0\0\xed\xa0\x80",
    b"G\x7f\xf8" + b"\0" * 6,
    b"\x8b\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 8, b"I99\n",
    b"Pos\n", b"\x82\x01",
)  # fmt: skip
"""Instructions of a pickle, by themselves."""

MANY = b"\x8a\x05\x00\xe4\x0b\x54\x02"  # 10^10

BOMBS = (
    b")" + b"\x85" * 3000,
    b")" + b"\x85" * 30_000,
    b"]" * 50_000 + b"a" * 49_999,
    b"]()q\xff" + b"h\xffh\xff\x86q\xff" * 60 + b"e",
    b"}()q\xff" + b"h\xffh\xff\x86q\xff" * 61 + b"u",
    b"})" + b"\x85" * 3000 + b"Ns",
    *(f"c{name}\n".replace(" ", "\n").encode() + MANY + b"\x85" + end
      for name in GLOBALS for end in (b"R", b"\x81", b"R}b")),
    b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sb",
    b"cposix\nsystem\nX\x04\0\0\0true\x85R",
    b"}" + b"".join(b"X\x08\0\0\0%08dNs" % i for i in range(10_000)),
)  # fmt: skip
"""Values of a pickle that are too deep, too many, or calls."""


def make(seed, folder):
    """A file or folder of one seed, and the weights that it must have if it is good."""
    rng = random.Random(seed)
    start = rng.choice(START)
    if seed is None or rng.random() < 0.05:
        target = folder / rng.choice(("x.pth", "x.safetensors", "x"))
        start = rng.choice(START[:2]) if target.name == "x" else start
        return save_checkpoint(start, target), start.weights
    made = rng.choice((archive, archive, legacy, legacy, tensors, library, labels))(
        rng, start, folder
    )
    file = made if made.is_file() else rng.choice(sorted(made.iterdir()))
    if rng.random() < 0.4:
        file.write_bytes(damaged(rng, file.read_bytes()))
    return made, None


def use(path, expected):
    """Read a checkpoint as commands do; whether it loads. A refusal must be one clear line."""
    try:
        if path.name == "labels.txt":
            return f"labels of {len(read_labels(path, 5))} classes"
        loaded = load_checkpoint(path)
    except (CheckpointError, LabelError) as error:
        return refusal(path, error)
    if expected:
        assert same_weights(loaded.weights, expected), "other weights than were saved"
    json.dumps(config_json(loaded.config, loaded.labels), ensure_ascii=False).encode()
    with suppress(ValueError):  # says that the input that it states is impossible
        choose_preprocessing(loaded)
    return "loaded"


def refusal(path, error):
    """The kind of a refusal, which names the file and has one short line."""
    line = str(error)
    short = line.startswith(str(path)) and "\n" not in line and len(line.encode()) < 2000
    assert short, f"no clear line: {line[:500]}"
    cause = error.__cause__
    assert not isinstance(cause, MemoryError), "took too much memory"
    assert not isinstance(cause, RuntimeError) or "memory" not in str(cause), str(cause)
    return f"refused by a {type(error).__name__}"


# What is saved


def content(rng, start):
    """What a file of `torch.save` holds: weights in a form, and perhaps things that are odd."""
    weights = dict(start.weights)
    for _ in range(rng.choice((0, 0, 1, 3))):
        name = rng.choice(list(weights))
        with suppress(AttributeError, RuntimeError, TypeError):  # of types that do not have it
            rng.choice((swap_name, swap_tensor))(rng, weights, name)
    try:
        made = rng.choice(forms.FORMS).content(weights)
    except (AttributeError, RuntimeError, TypeError):  # of odd tensors
        made = weights
    if rng.random() < 0.5:
        made = {**made, "cfg": rng.choice(CFGS)}
    if rng.random() < 0.3:
        made = {**made, KEY: note(rng, start)}
    if rng.random() < 0.3:
        made = {**made, rng.choice(list(made)): rng.choice(VALUES)}
    return made


def swap_name(rng, weights, name):
    odd = (
        "x." * 5000,
        "blocks.999999." + name,
        "\ud800",
        "a\0b",
        "blocks.1.attn.qkv.weight",
        "",
        ".",
    )
    names = {
        rng.choice(odd): weights.pop(name),
        **(
            {f"blocks.{i}.norm1.bias": torch.ones(1) for i in range(1000)}
            if rng.random() < 0.1
            else {}
        ),
    }
    weights |= names


def swap_tensor(rng, weights, name):
    weight = weights[name]
    weights[name] = rng.choice((
        lambda: weight * float("nan"), lambda: weight.long(), lambda: weight.bool(),
        lambda: weight[..., :0], lambda: weight.T, lambda: weight[0], lambda: weight[None],
        lambda: torch.ones(1).expand(10**7), lambda: torch.ones(9).as_strided((5, 5), (1, 1)),
        lambda: weight.to_sparse(), lambda: torch.empty(9, device="meta"), lambda: weight.half(),
        lambda: torch.complex(weight, weight).conj().imag, lambda: torch.complex(weight, weight),
        lambda: weight.to(torch.float8_e4m3fn), lambda: torch.nn.Parameter(weight),
        lambda: torch.empty(2**40, 0), lambda: weight.double(),
        lambda: weight.flatten()[:99].tolist(),
        lambda: torch.ones(1, 1, 8).expand(1, 2_000_001, 8),
    ))()  # fmt: skip


def note(rng, start):
    """The note of this project, with other values."""
    return rng.choice((json.dumps, repr))(odd_json(rng, json.loads(write_note(start))))


def odd_json(rng, value):
    """JSON in which some values are odd."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        return {**value, key: odd_json(rng, value[key])}
    return rng.choice(VALUES)


# Files


def archive(rng, start, folder):
    buffer = io.BytesIO()
    torch.save(content(rng, start), buffer)
    with zipfile.ZipFile(buffer) as saved:
        entries = [(name, saved.read(name)) for name in saved.namelist()]
    entries[0] = (entries[0][0], odd_pickle(rng, entries[0][1]))
    if rng.random() < 0.3:
        spoiled = rng.randrange(len(entries))
        name, data = entries[spoiled]
        entries[spoiled : spoiled + 1] = rng.choice((
            [], [(name, data)] * 2, [(name, data[:-1])], [(name, b"")], [("../x", data)],
            [(name, data + b"\0" * 10**6)], [("archive/constants.pkl", b"")], [(name, b"big")],
        ))  # fmt: skip
    kind = rng.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as target, warnings.catch_warnings(action="ignore"):
        for name, data in entries:
            target.writestr(name, data)
    data = buffer.getvalue()
    if rng.random() < 0.3:
        data = odd_directory(rng, data)
    (folder / "x.pth").write_bytes(data)
    return folder / "x.pth"


def odd_directory(rng, data):
    """An archive whose directory lies."""
    data = bytearray(data)
    if rng.random() < 0.2:
        return bytes(data[data.rindex(b"PK\1\2") :]) + bytes(data)
    if rng.random() < 0.2:
        return bytes(data + data)
    marks = [i for i in range(len(data) - 46) if data[i : i + 2] == b"PK"]
    for _ in range(rng.randint(1, 4)):
        at = rng.choice(marks) + rng.choice((4, 6, 8, 10, 14, 16, 18, 20, 22, 24, 26, 28, 30, 42))
        width, number = rng.choice((2, 4)), rng.choice((0, 1, 8, 255, 2**16 - 1, 2**31, 2**32 - 1))
        data[at : at + width] = (number % 256**width).to_bytes(width, "little")
    return bytes(data)


def odd_pickle(rng, data):
    """A pickle with some of its instructions changed."""
    starts = [position for _, _, position in pickletools.genops(data)]
    parts = [data[i:j] for i, j in zip(starts, [*starts[1:], len(data)], strict=True)]
    if rng.random() < 0.3:
        mark = next((i for i, part in enumerate(parts) if part == b"("), 1)
        key = rng.choice((b"X\x03\0\0\0odd", rng.choice(BOMBS)))
        parts[mark + 1 : mark + 1] = [key, rng.choice(BOMBS)]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5)) if len(parts) > 5 else 0):
        at = rng.randrange(len(parts))
        parts[at : at + 1] = rng.choice((
            [], [parts[at]] * 2, [rng.choice(SNIPPETS)], [parts[at], rng.choice(SNIPPETS)],
            [rng.choice(parts)], [parts[at], rng.choice(BOMBS)],
        ))  # fmt: skip
    return b"".join(parts)


def legacy(rng, start, folder):
    buffer = io.BytesIO()
    torch.save(content(rng, start), buffer, _use_new_zipfile_serialization=False)
    data, ends = buffer.getvalue(), [0]
    stream = io.BytesIO(data)
    for _ in range(5):
        list(pickletools.genops(stream))
        ends.append(stream.tell())
    parts = [data[i:j] for i, j in itertools.pairwise(ends)]
    at = rng.choice((3, 3, 3, 4, 4, 2, 0))
    parts[at] = odd_pickle(rng, parts[at])
    if rng.random() < 0.2:
        keys = pickle.loads(data[ends[4] : ends[5]])
        parts[4] = pickle.dumps(rng.choice((keys[1:], keys[:-1], [*keys, "x"], keys * 2, 7)), 2)
    (folder / "x.pth").write_bytes(b"".join(parts) + data[ends[-1] :])
    return folder / "x.pth"


def tensors(rng, start, folder, name="x.safetensors"):
    names = rng.choice((dict, forms.library))(start.weights)
    data = save(
        {n: w.contiguous() for n, w in names.items()}, {"format": "pt", KEY: note(rng, start)}
    )
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    for _ in range(rng.choice((0, 0, 1, 1, 3))):
        name_of = rng.choice(list(header))
        if rng.random() < 0.3:
            header[rng.choice(("x", "net." + name_of, "\ud800", name_of * 999))] = header.pop(
                name_of
            )
        else:
            header[name_of] = odd_json(rng, header[name_of])
    text = json.dumps(header).encode()
    size = rng.choice((len(text),) * 9 + (0, 2**62, len(text) - 1, 10**8))
    (folder / name).write_bytes(struct.pack("<Q", size) + text + data[8 + length :])
    return folder / name


def library(rng, start, folder):
    """A folder in the Hugging Face form, whole or sharded."""
    config = config_json(start.config, start.labels)
    input_ = preprocessor_json({"crop": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3})
    for key in (*FIXED, "do_normalize", "do_rescale"):
        if rng.random() < 0.1:
            input_[key] = rng.choice((True, False, None, 3))
    for name, value in (("config.json", config), ("preprocessor_config.json", input_)):
        for _ in range(rng.choice((0, 1, 1, 2))):
            value = odd_json(rng, value)
        text = json.dumps(value)
        (folder / name).write_text(rng.choice((text,) * 19 + ("[" * 100_000,)))
    tensors(rng, start, folder, "model.safetensors")
    if rng.random() < 0.3:
        shards = ["model.safetensors", "model-2.safetensors"]
        (folder / shards[0]).rename(folder / shards[1])
        index = {"weight_map": {"a": shards[rng.choice((0, 1, 1))], "b": shards[1]}}
        text = json.dumps(odd_json(rng, index) if rng.random() < 0.5 else index)
        (folder / "model.safetensors.index.json").write_text(text)
    return folder


def labels(rng, start, folder):
    """Names of classes."""
    value = rng.choice(
        (list(LABELS), dict(enumerate(LABELS)), dict(zip(LABELS, range(5), strict=True)))
    )
    if isinstance(value, list):
        value[rng.randrange(5)] = rng.choice(VALUES)
    elif rng.random() < 0.8:
        value = odd_json(rng, value)
    (folder / "labels.txt").write_text(
        rng.choice((json.dumps(value), "\n".join(LABELS), "[" * 10**5))
    )
    return folder / "labels.txt"


def damaged(rng, data):
    """Bytes with some of them changed, lost or doubled."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 30))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 100))
        if rng.random() < 0.5:  # where names and sizes are
            at = rng.choice((at % 200, max(0, len(data) - at % 1000)))
        data[at : at + length] = rng.choice((
            rng.randbytes(length), b"\xff" * length, b"\0" * length, b"",
            data[at : at + length] * 2,
        ))  # fmt: skip
    return bytes(data[: rng.choice((len(data),) * 5 + (rng.randrange(len(data) + 1),))])
