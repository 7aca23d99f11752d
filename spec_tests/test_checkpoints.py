"""Checkpoints in each format: read by this project, then run by the port.

With --checkpoint FILE also a real one, and with --video FILE on a real clip.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spec_tests.harness.cases import ACROSS_FRAMES, Case
from spec_tests.harness.errors import NotOffered
from spec_tests.harness.judging import Nonconformance, agree, requirement
from timesformer_ref.checkpoints import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from timesformer_ref.checkpoints.initialise import resize_weights
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.numpy_blocks.layers import nearest

HUGGING_FACE = ("space_only", "joint_space_time", "divided_space_time")
"""The schemes that the library has."""


@pytest.fixture
def case(port):
    config = TimeSformerConfig(
        image_size=16, patch_size=4, num_channels=3, num_frames=4, hidden_size=128,
        num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=5,
        attention_type=port.schemes[-1] if "divided_space_time" not in port.schemes
        else "divided_space_time",
    )  # fmt: skip
    return Case(port.constraints.adapt(config), (2, 4, 3, 16, 16), seed=11)


def tensors(case, prefix=""):
    return {prefix + n: torch.tensor(w, dtype=torch.float32) for n, w in case.weights.items()}


FORMS = {
    "model_state": lambda case: {"epoch": 3, "model_state": tensors(case, "model."), "cfg": "…"},
    "state_dict": lambda case: {"state_dict": tensors(case, "module.")},
    "model": lambda case: {"model": tensors(case)},
    "bare": tensors,
}


def only_for(case, schemes):
    """Raise NotOffered unless the case is of a scheme that this kind of checkpoint can hold."""
    if case.config.attention_type not in schemes:
        raise NotOffered(f"the port lacks {' or '.join(schemes)}")


def runs_as_before(port, case, checkpoint):
    """Check that the weights read are those written, and that the port runs on them."""
    assert checkpoint.config.attention_type == case.config.attention_type
    assert checkpoint.weights.keys() == case.weights.keys()
    weights = {n: np.float64(w.numpy()) for n, w in checkpoint.weights.items()}
    if port.dtype in ("float32", "float64"):
        for name, w in weights.items():
            if not np.array_equal(w, case.weights[name]):
                raise Nonconformance(f"{name} was read wrongly", {"weight": name})
    agree(port, replace(case, dtype=port.dtype), "forward", weights=weights)


@requirement("CKPT-1")
@pytest.mark.parametrize("form", FORMS)
def test_files_of_torch_save(port, case, form, tmp_path):
    torch.save(FORMS[form](case), tmp_path / "weights.pyth")
    runs_as_before(port, case, load_checkpoint(tmp_path / "weights.pyth"))


@requirement("CKPT-1")
def test_safetensors_by_the_originals_names(port, case, tmp_path):
    save_file({n: np.float32(w) for n, w in case.weights.items()}, tmp_path / "weights.safetensors")
    runs_as_before(port, case, load_checkpoint(tmp_path / "weights.safetensors"))


@requirement("CKPT-2")
def test_a_hugging_face_folder(port, case, tmp_path):
    only_for(case, HUGGING_FACE)
    config = replace(case.config, drop_path_rate=0.0)  # the form takes whole numbers only
    save_checkpoint(Checkpoint(config, tensors(case)), tmp_path / "folder")
    files = {path.name for path in (tmp_path / "folder").iterdir()}
    assert {"config.json", "model.safetensors"} <= files
    runs_as_before(port, case, load_checkpoint(tmp_path / "folder"))


TO_HUGGING_FACE = {
    "cls_token": "timesformer.embeddings.cls_token",
    "pos_embed": "timesformer.embeddings.position_embeddings",
    "time_embed": "timesformer.embeddings.time_embeddings",
    "patch_embed.proj": "timesformer.embeddings.patch_embeddings.projection",
    "temporal_norm1": "temporal_layernorm",
    "temporal_attn.qkv": "temporal_attention.attention.qkv",
    "temporal_attn.proj": "temporal_attention.output.dense",
    "temporal_fc": "temporal_dense",
    "norm1": "layernorm_before",
    "attn.qkv": "attention.attention.qkv",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "norm": "timesformer.layernorm",
    "head": "classifier",
}
"""The library's names, written down again: one table can be wrong in both directions."""


def hugging_face_name(name):
    layer, _, kind = name.rpartition(".")
    if name.startswith("blocks."):
        _, number, layer = layer.split(".", 2)
        return f"timesformer.encoder.layer.{number}.{TO_HUGGING_FACE[layer]}.{kind}"
    return TO_HUGGING_FACE.get(name) or f"{TO_HUGGING_FACE[layer]}.{kind}"


@requirement("CKPT-2", "CKPT-3")
@pytest.mark.parametrize("heads", [2, 4])
def test_a_folder_by_the_librarys_names(port, case, tmp_path, heads):
    """Written without this project's writer; only the config has the number of heads."""
    only_for(case, HUGGING_FACE)
    case = replace(case, config=replace(case.config, num_attention_heads=heads))
    config = asdict(case.config) | {"model_type": "timesformer", "drop_path_rate": 0}
    labels = {str(i): f"label {i}" for i in range(config.pop("num_labels"))}
    (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": labels}))
    named = {hugging_face_name(n): np.float32(w) for n, w in case.weights.items()}
    save_file(named, tmp_path / "model.safetensors")
    found = load_checkpoint(tmp_path)
    assert found.config.num_attention_heads == heads
    runs_as_before(port, case, found)


@requirement("CKPT-3")
def test_geometry_is_taken_from_the_tensors(port, case, tmp_path):
    only_for(case, ACROSS_FRAMES)
    path = tmp_path / "TimeSformer_divST_96x4_448_K600.pyth"
    torch.save(FORMS["model_state"](case), path)
    found = load_checkpoint(path)
    known = ("num_frames", "image_size", "patch_size", "num_labels", "hidden_size", "qkv_bias",
            "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "num_channels")  # fmt: skip
    for field in known:
        assert getattr(found.config, field) == getattr(case.config, field), field
    runs_as_before(port, case, found)


@requirement("CKPT-4")
@pytest.mark.parametrize(("frames", "size"), [(6, 24), (2, 8)])
def test_loading_for_another_size_resizes_in_one_dimension(port, case, frames, size):
    only_for(case, ACROSS_FRAMES)
    weights, config = resize_weights(case.weights, case.config, frames, size)
    places = 1 + nearest(16, (size // 4) ** 2)
    old = case.weights["pos_embed"]
    assert np.array_equal(weights["pos_embed"][0], old[0][np.concatenate([[0], places])])
    assert np.array_equal(weights["time_embed"], case.weights["time_embed"][:, nearest(4, frames)])
    clip = Case(config, (1, frames, 3, size, size), dtype=port.dtype)
    agree(port, clip, "forward", weights=weights)


def go_off():
    fired.append(True)


class Bomb:
    def __reduce__(self):
        return go_off, ()


fired = []


@requirement("CKPT-5")
@pytest.mark.parametrize("protocol", [2, 4])
def test_no_pickled_code_runs(port, case, tmp_path, protocol):
    path = tmp_path / "bomb.pyth"
    torch.save({"model_state": tensors(case), "cfg": Bomb()}, path, pickle_protocol=protocol)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps({"model_state": Bomb()}, protocol=protocol))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not fired
