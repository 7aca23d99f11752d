"""Weights are found below any one prefix and in any container, and what was left out is said."""

from __future__ import annotations

import warnings

import pytest
import torch
from safetensors.torch import save_file

from spec_tests.project.forms import FORMS, STEP, below, library, other
from spec_tests.project.tiny import CONFIG, checkpoint, same_weights
from timesformer_ref import load_checkpoint
from timesformer_ref.checkpoints import CheckpointError, CheckpointWarning
from timesformer_ref.checkpoints.names import original_name
from timesformer_ref.checkpoints.variants import VARIANTS
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.weights import weight_table

pytestmark = pytest.mark.usefixtures("unchecked")


def load(path):
    """A checkpoint, and all that reading it says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_checkpoint(path, num_attention_heads=4)
    return loaded, " ".join(str(w.message) for w in caught if w.category is CheckpointWarning)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.looks)
def test_a_form_loads_and_says_what_it_should(tmp_path, form):
    expected = checkpoint().weights
    torch.save(form.content(expected), tmp_path / "x.pth")
    loaded, said = load(tmp_path / "x.pth")
    head = {"head.weight", "head.bias"} if "no classifier" in form.said else set()
    assert same_weights(
        {name: w for name, w in loaded.weights.items() if name not in head},
        {name: w for name, w in expected.items() if name not in head},
    )
    assert not any(loaded.weights[name].any() for name in head)
    assert form.said in said if form.said else not said


@pytest.mark.parametrize("naming", [dict, library])
def test_a_prefix_comes_off_in_a_safetensors_file_too(tmp_path, naming):
    weights = checkpoint().weights
    save_file({"step": STEP, **below("net.", naming(weights))}, tmp_path / "x.safetensors")
    loaded, said = load(tmp_path / "x.safetensors")
    assert same_weights(loaded.weights, weights)
    assert "'net'" in said
    assert "left out 'step'" in said


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (lambda w: {"student": w, "teacher": other(w)}, ("'student'", "'teacher'")),
        (
            lambda w: {**below("encoder_q.", w), **below("encoder_k.", w)},
            ("encoder_q", "encoder_k"),
        ),
        (lambda w: {"model": {"a": w, "b": other(w)}, "c": w}, ("'model.a'", "'model.b'")),
        (lambda w: {**w, **below("net.", w)}, ("'no prefix'", "'net'")),
    ],
)
def test_two_models_are_refused_with_both_names(tmp_path, content, names):
    torch.save(content(checkpoint().weights), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds two models") as caught:
        load_checkpoint(tmp_path / "x.pth")
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("legacy", [False, True])
def test_two_names_for_one_weight_are_refused(tmp_path, legacy):
    weights = checkpoint().weights
    two = {**weights, "classifier.weight": weights["head.weight"] + 1}
    torch.save(two, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"head\.weight is there twice.*classifier\.weight"):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("name", ["blocks.0.gamma_1", "net.blocks.0.attn.scale", "norm.running"])
def test_a_tensor_inside_the_model_is_not_left_out(tmp_path, name):
    prefix = "net." if name.startswith("net.") else ""
    weights = {**below(prefix, checkpoint().weights), name: torch.ones(32)}
    torch.save(weights, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=f"{name.removeprefix('net.')}.* is unexpected"):
        load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)


def test_a_weight_outside_the_prefix_does_not_complete_a_model(tmp_path):
    weights = below("net.", checkpoint().weights)
    weights["norm.bias"] = weights.pop("net.norm.bias")
    torch.save(weights, tmp_path / "x.pth")
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(CheckpointError, match=r"norm\.bias is miss"),
    ):
        load_checkpoint(tmp_path / "x.pth", num_attention_heads=4)


def test_another_model_s_weights_are_called_so(tmp_path):
    torch.save({"conv1.weight": torch.ones(3), "head.weight": torch.ones(3)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"the weights of another model: 'conv1\.weight'"):
        load_checkpoint(tmp_path / "x.pth")


def test_every_weight_of_every_scheme_is_known_by_both_names_below_any_prefix():
    for scheme in SCHEMES:
        config = CONFIG if scheme == "divided_space_time" else VARIANTS[0].config
        for name, weight in weight_table(config).items():
            for known in (name, weight.hugging_face, weight.hugging_face[len("timesformer.") :]):
                if known in (name, weight.hugging_face) or known.startswith(("enc", "emb", "lay")):
                    assert original_name(known) == ("", name)
                    assert original_name(f"a.0.{known}") == ("a.0.", name)


@pytest.mark.parametrize("name", ["", ".", "blocks", "blocks.00.norm1.bias", "a" * 999, "." * 999,
                                  "blocks.1.blocks.1.x", "xblocks.0.norm1.bias"])  # fmt: skip
def test_other_names_are_none(name):
    assert original_name(name) is None
