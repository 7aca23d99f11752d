"""The forms in which weights are found in files, for the tests and for the page on checkpoints."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch

from spec_tests.project.tiny import CONFIG
from timesformer_ref.weights import weight_table


class Form(NamedTuple):
    """A form: whose it is, what it looks like, how it is made, and what reading it says."""

    whose: str
    looks: str
    content: object
    said: str = ""


def below(prefix, weights):
    return {prefix + name: weight for name, weight in weights.items()}


THEIRS = {name: weight.hugging_face for name, weight in weight_table(CONFIG).items()}


def library(weights):
    """The weights by the names of `transformers`, as far as it has any."""
    return {THEIRS.get(name, name): weight for name, weight in weights.items()}


def other(weights):
    return {name: weight + 1 for name, weight in weights.items()}


STEP, TOTAL = torch.tensor(7), torch.ones(3)

FORMS = (
    Form("the original", "`model_state`, each name after `model.`", lambda w: {
        "epoch": 14, "model_state": below("model.", w), "optimizer_state": {}, "cfg": "DATA: {}"}),
    Form("distributed training", "`state_dict`, each name after `module.`",
         lambda w: {"state_dict": below("module.", w), "best_acc1": 78.0}),
    Form("timm", "`model`, or `state_dict`", lambda w: {"model": w, "args": {"lr": 0.1}}),
    Form("a state dict", "the names alone", lambda w: OrderedDict(w)),
    Form("a state dict", "parameters", lambda w: {n: torch.nn.Parameter(t) for n, t in w.items()}),
    Form("both wrappers", "`module.model.`",
         lambda w: {"model_state": below("module.model.", w)}),
    Form("torch.compile", "`_orig_mod.`", lambda w: below("_orig_mod.", w), "'_orig_mod'"),
    Form("torch.compile, distributed", "`module._orig_mod.`",
         lambda w: {"state_dict": below("module._orig_mod.", w)}, "'state_dict._orig_mod'"),
    Form("DeepSpeed", "the container `module`", lambda w: {
        "module": OrderedDict(w), "optimizer": None, "ds_config": {}, "global_steps": 3},
        "'module'"),
    Form("a running average", "`model_ema` alone", lambda w: {"model_ema": w, "epoch": 3},
         "'model_ema'"),
    Form("a running average beside the model", "`model` is read, `model_ema` left out",
         lambda w: {"model": w, "model_ema": other(w)}, "left out the model under 'model_ema'"),
    Form("torch's AveragedModel", "`module.` and `n_averaged`",
         lambda w: {"n_averaged": STEP, **below("module.", w)}, "left out 'n_averaged'"),
    Form("a wrapper", "any one prefix: `backbone.`, `net.`, `encoder.`, …",
         lambda w: {"state_dict": below("encoder.", w)}, "'state_dict.encoder'"),
    Form("Lightning", "`state_dict`, `model.net.`, with a loss beside", lambda w: {
        "state_dict": {**below("model.net.", w), "criterion.weight": TOTAL},
        "pytorch-lightning_version": "2.0", "global_step": 3}, "'criterion.weight'"),
    Form("transformers", "the names of TimesformerForVideoClassification", library),
    Form("transformers, wrapped", "`model.timesformer.…`, `model.classifier.…`",
         lambda w: {"state_dict": below("model.", library(w))}),
    Form("transformers' TimesformerModel", "no `timesformer.`, no classifier", lambda w: {
        n.removeprefix("timesformer."): t for n, t in library(w).items() if "classifier" not in n},
        "has no classifier"),
    Form("features", "the original's names without `head.`",
         lambda w: {n: t for n, t in w.items() if not n.startswith("head.")}, "has no classifier"),
    Form("mixed", "a new `classifier.` beside the original's names", lambda w: {
        n.replace("head.", "classifier."): t for n, t in w.items()}),
    Form("containers in containers", "`checkpoint`, then `model`",
         lambda w: {"checkpoint": {"model": w}}, "'checkpoint.model'"),
)  # fmt: skip
