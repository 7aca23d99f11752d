"""Weights: their names and shapes, their initial values, and how an image ViT's are taken over."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from spec_tests.harness.cases import Case
from spec_tests.harness.golden_vectors import golden
from spec_tests.harness.judging import Nonconformance, Question, agree, for_cases, requirement
from timesformer_ref.checkpoints.initialise import initial_weights, weights_from_image_vit
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.weights import count_parameters, part, weight_table

COUNTS = {
    "space_only": 86_106_256,
    "joint_space_time": 86_112_400,
    "divided_space_time": 121_566_352,
    "sparse_local_global": 121_566_352,
    "axial": 157_020_304,
}
DEVIATIONS = 5
"""How many standard errors a sample's mean or deviation may be off."""

UNLIKE = 6
"""The same for a correlation, of which there are hundreds."""


def model(attention_type, **changes):
    fields = dict(
        image_size=32, patch_size=8, num_frames=4, hidden_size=64, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=128, num_labels=50,
    )  # fmt: skip
    return TimeSformerConfig(**fields | changes, attention_type=attention_type)


class Fresh:
    """A port's fresh weights, and a method that fails the test where one is wrong."""

    def __init__(self, port, attention_type, seed=3, **changes):
        port.constraints.allow(changes)
        config = port.constraints.adapt(model(attention_type, **changes))
        size = (1, config.num_frames, config.num_channels, config.image_size, config.image_size)
        case = Case(config, size, seed, dtype="float32")
        self.question = Question(port, case, "initial_weights", seed=seed)
        self.weights = self.question.answer()
        self.config = config

    def require(self, name, true, what):
        if not true:
            raise self.question.failure(f"{name} {what}")

    def start_at(self, value, names):
        expected = {n: np.full_like(self.weights[n], value) for n in names}
        self.question.equal(self.weights, expected, f"is not {value} everywhere")

    def named(self, *ends):
        return {n: w for n, w in self.weights.items() if n.endswith(ends)}


every_scheme = pytest.mark.parametrize("attention_type", sorted(SCHEMES))


@requirement("WEIGHT-1")
@every_scheme
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_names_and_shapes_of_fresh_weights(port, attention_type, qkv_bias):
    Fresh(port, attention_type, qkv_bias=qkv_bias)


@requirement("WEIGHT-1")
@every_scheme
def test_names_of_twelve_blocks(port, attention_type):
    Fresh(port, attention_type, num_hidden_layers=12)


@requirement("WEIGHT-1")
@for_cases(frames="single", patches="trained", examples=4)
def test_the_weights_of_the_table_are_enough(port, case):
    agree(port, case, "forward")


@requirement("WEIGHT-2")
@every_scheme
def test_prefixes_of_steps(port, attention_type):
    fresh = Fresh(port, attention_type)
    *earlier, _ = SCHEMES[attention_type]
    for layer in range(2):
        names = {n.split(".")[2] for n in fresh.weights if n.startswith(f"blocks.{layer}.")}
        expected = {f"{s}_{part}" for s in earlier for part in ("norm1", "attn", "fc")}
        expected |= {"norm1", "attn", "norm2", "mlp"}
        fresh.require(f"block {layer}", names == expected, f"has {names}, expected {expected}")


@requirement("WEIGHT-3")
@every_scheme
def test_number_of_parameters(port, attention_type):
    fresh = Fresh(port, attention_type)
    found = sum(w.size for w in fresh.weights.values())
    assert (
        count_parameters(TimeSformerConfig(attention_type=attention_type)) == COUNTS[attention_type]
    )
    expected = count_parameters(fresh.config)
    fresh.require("the model", found == expected, f"has {found} numbers, expected {expected}")


@requirement("INIT-1")
@every_scheme
def test_normal_weights(port, attention_type):
    fresh = Fresh(port, attention_type)
    table = weight_table(fresh.config)
    for name, w in fresh.weights.items():
        if table[name].start != "normal":
            continue
        error = DEVIATIONS * 0.02 / np.sqrt(w.size)
        found = f"has mean {w.mean():.4f}, deviation {w.std():.4f}; expected 0 and 0.02"
        right = abs(w.mean()) < error and abs(w.std() - 0.02) < error / np.sqrt(2)
        fresh.require(name, right and np.abs(w).max() <= 2, found)
        beyond, normal = np.mean(np.abs(w) > 0.04), 0.0455
        error = DEVIATIONS * np.sqrt(normal * (1 - normal) / w.size)
        found = f"has {beyond:.1%} beyond two deviations, expected {normal:.1%}"
        fresh.require(name, abs(beyond - normal) < error, found)


@requirement("INIT-1")
@every_scheme
def test_weights_are_drawn_each_for_itself(port, attention_type):
    fresh = Fresh(port, attention_type)
    table = weight_table(fresh.config)
    drawn = {n: w.ravel() for n, w in fresh.weights.items() if table[n].start == "normal"}
    for (one, w), (other, v) in combinations(drawn.items(), 2):
        size = min(len(w), len(v))
        found = np.corrcoef(w[:size], v[:size])[0, 1]
        like = f"is like {other}: their numbers correlate by {found:.2f}, expected 0"
        fresh.require(one, abs(found) < UNLIKE / np.sqrt(size), like)


@requirement("INIT-2")
@every_scheme
def test_biases_norms_and_time_table(port, attention_type):
    fresh = Fresh(port, attention_type)
    fresh.start_at(1, fresh.named("norm.weight", "norm1.weight", "norm2.weight"))
    fresh.start_at(0, [n for n in fresh.named("time_embed", "bias") if not n.startswith("patch")])


@requirement("INIT-3")
@pytest.mark.parametrize("attention_type", sorted(s for s in SCHEMES if len(SCHEMES[s]) > 1))
def test_every_fc_starts_at_zero(port, attention_type):
    fresh = Fresh(port, attention_type)
    layers = fresh.named("_fc.weight", "_fc.bias")
    fresh.require("the model", layers, "has no such layer")
    fresh.start_at(0, layers)


@requirement("INIT-4")
@every_scheme
def test_patch_projection_is_uniform(port, attention_type):
    fresh = Fresh(port, attention_type)
    bound = (3 * 8 * 8) ** -0.5
    for name, w in fresh.named("patch_embed.proj.weight", "patch_embed.proj.bias").items():
        fresh.require(name, np.abs(w).max() <= bound * (1 + 1e-6), f"exceeds {bound:.5f}")
        spread = bound / np.sqrt(3)
        right = abs(w.std() - spread) < DEVIATIONS * spread / np.sqrt(w.size)
        fresh.require(name, right, f"has deviation {w.std():.5f}, expected {spread:.5f}")


@requirement("INIT-5")
@every_scheme
def test_a_function_of_the_seed(port, attention_type):
    first, other, again = (Fresh(port, attention_type, seed) for seed in (1, 2, 1))
    for name, w in first.weights.items():
        first.require(name, np.array_equal(w, again.weights[name]), "differs for the same seed")
    for name, weight in weight_table(first.config).items():
        if weight.start in ("normal", "fan_in") and first.weights[name].any():
            same = np.array_equal(first.weights[name], other.weights[name])
            first.require(name, not same, "is the same for seeds 1 and 2")


def forward_on(port, weights, config, seed=0):
    """Check that the port's logits with these weights are the reference's."""
    shape = (2, config.num_frames, config.num_channels, config.image_size, config.image_size)
    case = Case(config, shape, seed, dtype=port.dtype)
    agree(port, case, "forward", weights={n: np.float64(w) for n, w in weights.items()})


def from_image_vit(name):
    """Weights from an image ViT by this project, those by the original, and the names it leaves."""
    case = golden(name)
    expected = part(case.tensors, "out")
    found = weights_from_image_vit(part(case.tensors, "in"), case.config)
    assert found.keys() - expected.keys() == set(json.loads(case.metadata["untouched"]))
    return case, found, expected


def exact(found, expected, names):
    for name in names:
        if not (
            found[name].dtype == expected[name].dtype
            and np.array_equal(found[name], expected[name])
        ):
            raise Nonconformance(f"{name} is not the original's", {"weight": name})


@requirement("INIT-6")
@pytest.mark.parametrize("name", ["image_vit_init", "image_vit_init_larger_frame"])
def test_weights_from_an_image_vit(port, name):
    case, found, expected = from_image_vit(name)
    exact(found, expected, expected.keys() - {"pos_embed"})
    forward_on(port, found, case.config)


@requirement("INIT-6")
@pytest.mark.parametrize("attention_type", [s for s in sorted(SCHEMES) if len(SCHEMES[s]) > 1])
def test_every_step_starts_from_the_one_attention(port, attention_type):
    config = model(attention_type)
    vit, fresh = image_vit(config), initial_weights(config, 0)
    found = weights_from_image_vit(vit, config)
    for name in (n for n in found if "attn." in n or "norm1." in n):
        block, layer = name.split(".", 2)[:2], name.split(".", 2)[2]
        of = ".".join([*block, layer.partition("_")[2] or layer])
        exact(found, {name: vit[of]}, [name])
    exact(found, fresh, [n for n in found if "_fc." in n or n == "time_embed"])
    forward_on(port, found, config)


@requirement("INIT-7")
def test_positions_from_an_image_vit_of_another_size(port):
    case, found, expected = from_image_vit("image_vit_init_larger_frame")
    exact(found, expected, ["pos_embed"])
    forward_on(port, found, case.config)


def image_vit(config, **changes):
    """An image ViT's state dict that fits a video model, all numbers different."""
    fields = {f: getattr(config, f) for f in config.__dataclass_fields__} | changes
    image = TimeSformerConfig(**fields | {"attention_type": "space_only"})
    shape = (1, 1, image.num_channels, image.image_size, image.image_size)
    return Case(image, shape, seed=5).weights


@requirement("INIT-8")
@pytest.mark.parametrize("labels", [50, 7])
def test_head_of_an_image_vit(port, labels):
    config = model("divided_space_time")
    vit = image_vit(config, num_labels=labels)
    found = weights_from_image_vit(vit, config)
    expected = vit if labels == config.num_labels else initial_weights(config, 0)
    exact(found, {n: np.asarray(expected[n]) for n in expected}, ["head.weight", "head.bias"])
    forward_on(port, found, config)


@requirement("INIT-9")
@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_channels_of_an_image_vit(port, channels):
    config = model("divided_space_time", num_channels=channels)
    vit = image_vit(config, num_channels=3)
    kernel = vit["patch_embed.proj.weight"]
    found = weights_from_image_vit(vit, config)
    if channels == 1:
        expected = kernel[:, :1] + kernel[:, 1:2] + kernel[:, 2:]
    else:
        expected = np.stack([kernel[:, c % 3] * 3 / channels for c in range(channels)], axis=1)
    np.testing.assert_allclose(found["patch_embed.proj.weight"], expected, rtol=1e-6, atol=1e-6)
    forward_on(port, found, config)
