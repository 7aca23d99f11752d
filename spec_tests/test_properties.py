"""What must hold for any weights and any clip, and what a port must refuse."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from einops import rearrange

from spec_tests.harness.cases import ACROSS_FRAMES, ANY_GRID, DROPPING, SEVERAL_STEPS, Case
from spec_tests.harness.errors import NotOffered
from spec_tests.harness.judging import (
    Nonconformance,
    NotJudged,
    Question,
    agree,
    for_cases,
    requirement,
)
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import STEPS
from timesformer_ref.weights import part

NO_ORDER_IN_TIME = ("joint_space_time", "divided_space_time", "axial")
NO_ORDER_IN_SPACE = ("joint_space_time", "divided_space_time")
BLOCKS = ("forward", "patchify", "time_embedding", "attention_step", "mlp", "block", "classifier")


def clips_alone_and_together(port, case):
    together = Question(port, case, "forward").answer()[""]
    for i in range(3):
        clip = np.repeat(case.video[i : i + 1], 3, axis=0)  # of the same shape, for compiled ports
        alone = Question(port, case, "forward", video=clip)
        expected = np.repeat(together[i : i + 1], 3, axis=0)
        alone.compare(alone.answer(), {"": expected}, f"from clip {i} among others")


@requirement("PROP-1")
@for_cases(ACROSS_FRAMES, frames="trained", patches="trained", batch=3)
def test_clips_of_a_batch_do_not_influence_each_other(port, case):
    clips_alone_and_together(port, case)


@requirement("PROP-1")
@for_cases(("space_only",), frames="single", patches="trained", batch=3, examples=4)
def test_frames_of_a_batch_do_not_influence_each_other(port, case):
    clips_alone_and_together(port, case)


def in_between(port, case):
    """Cases for calls in between: other weights and numbers, then clips of other sizes."""
    yield replace(case, seed=case.seed + 1)
    if port.fixed_frames or port.fixed_frame_size:
        return
    b, t, c, height, width = case.clip
    yield replace(case, clip=(b, 2 * t, c, 2 * width, 2 * height))
    if not port.static_shapes:
        least = max(max(STEPS[step].pieces) for step in case.config.steps)
        more = least * case.config.patch_size
        yield replace(case, clip=(1, least, c, height, width + more))


@requirement("PROP-2")
@pytest.mark.parametrize("function", [*BLOCKS, "gradients"])
@for_cases(rather=ACROSS_FRAMES, frames="trained", patches="trained", examples=2, **DROPPING)
def test_the_same_call_again_gives_the_same_answer(port, case, function):
    """At once, and after calls with other weights and sizes, of the whole model, and of training.

    The weights are the same object, so that a port has them loaded still.
    """
    question = Question(port, case, function, step=case.config.steps[0])
    first = question.answer()
    question.compare(question.answer(), first, "when called again at once")
    others = list(in_between(port, case))
    calls = [(other, name) for other in others for name in (function, "forward")]
    for other, name in [*calls, (case, "gradients")]:
        weights = other.weights if other.seed != case.seed else case.weights
        with suppress(Nonconformance, NotOffered, NotJudged):  # other tests judge that result
            Question(port, other, name, step=case.config.steps[0], weights=weights).answer()
    question.compare(question.answer(), first, "when called again after other calls")


@requirement("PROP-2")
@pytest.mark.parametrize("function", [*BLOCKS, "gradients"])
@for_cases(rather=ACROSS_FRAMES, examples=2, frames="trained", patches="trained", ragged=True)
def test_arguments_stay_as_they_were(port, case, function):
    Question(port, case, function, step=case.config.steps[0]).answer()


@requirement("PROP-3")
@pytest.mark.parametrize("function", BLOCKS)
@for_cases(
    ANY_GRID,
    frames="single",
    patches="single",
    batch=1,
    examples=4,
    num_attention_heads=1,
    num_labels=1,
    num_channels=1,
)
def test_axes_of_length_one(port, case, function):
    agree(port, case, function, step=case.config.steps[-1])


@requirement("PROP-3")
@for_cases(ANY_GRID, frames="single", patches="single", batch=1, examples=4)
def test_gradients_of_a_single_clip(port, case):
    agree(port, case, "gradients")


@requirement("PROP-3")
@pytest.mark.parametrize("function", [*BLOCKS, "gradients"])
@for_cases(examples=2, frames="trained", patches="trained")
def test_shapes(port, case, function):
    Question(port, case, function, step=case.config.steps[-1]).answer()


def same_logits(port, case, what, **changes):
    """The port's logits do not change with these arguments."""
    question = Question(port, case, "forward", weights=changes.pop("before", case.weights))
    changed = Question(port, case, "forward", **changes)
    question.compare(changed.answer(), question.answer(), what)


def shuffled(case, count):
    """The same order again for the same case, never the order as it is where there is another."""
    order = np.random.default_rng(case.seed).permutation(count)
    return np.roll(order, 1) if np.array_equal(order, np.arange(count)) else order


@requirement("PROP-4")
@for_cases(("space_only",))
def test_space_only_ignores_the_order_of_frames(port, case):
    video = case.video[:, shuffled(case, case.grid[0])]
    same_logits(port, case, "when the frames change places", video=video)


def constant_time(case):
    """The weights with the same vector for all frames."""
    return case.weights | {
        "time_embed": case.weights["time_embed"][:, :1] + 0 * case.weights["time_embed"]
    }


@requirement("PROP-5")
@for_cases(NO_ORDER_IN_TIME, frames="trained", patches="trained")
def test_constant_time_has_no_order(port, case):
    video, weights = case.video[:, shuffled(case, case.grid[0])], constant_time(case)
    what = "when the frames change places"
    same_logits(port, case, what, video=video, weights=weights, before=weights)


@requirement("PROP-5")
@for_cases(("sparse_local_global",))
def test_constant_time_of_sparse_attention_tells_even_from_odd(port, case):
    pairs = case.grid[0] // 2
    even, odd = (
        2 * shuffled(case, pairs),
        1 + 2 * shuffled(replace(case, seed=case.seed + 1), pairs),
    )
    order, weights = np.stack([odd, even], axis=1).reshape(-1), constant_time(case)
    what = "when even and odd frames change places among themselves, or altogether"
    same_logits(port, case, what, video=case.video[:, order], weights=weights, before=weights)


@requirement("PROP-6")
@for_cases(SEVERAL_STEPS, frames="trained", patches="trained")
def test_a_step_whose_fc_is_zero_changes_nothing(port, case):
    for step in case.config.steps[:-1]:
        off = (f"{step}_fc.weight", f"{step}_fc.bias")
        weights = {n: 0 * w if n.endswith(off) else w for n, w in case.weights.items()}
        question = Question(port, case, "attention_step", step=step, weights=weights)
        given, what = {"": case.tokens}, f"changed tokens although {step}_fc is zero"
        question.equal(question.answer(), given, what)


def moved(case, places):
    """Video and weights with patch i of every frame, and its position, taken from places[i]."""
    p, (_, h, w) = case.config.patch_size, case.grid
    patches = rearrange(case.video, "b t c (h p) (w q) -> b t c (h w) p q", p=p, q=p)
    video = rearrange(patches[:, :, :, places], "b t c (h w) p q -> b t c (h p) (w q)", h=h, w=w)
    positions = case.weights["pos_embed"][:, np.concatenate([[0], 1 + places])]
    return {"video": video, "weights": case.weights | {"pos_embed": positions}}


def patches_change_places(port, case):
    _, h, w = case.grid
    what = "when patches change places together with their positions"
    same_logits(port, case, what, **moved(case, shuffled(case, h * w)))


@requirement("PROP-7")
@for_cases(NO_ORDER_IN_SPACE, frames="trained", patches="trained")
def test_patches_may_change_places_with_their_positions(port, case):
    patches_change_places(port, case)


@requirement("PROP-7")
@for_cases(("space_only",), frames="single", patches="trained")
def test_patches_of_a_frame_may_change_places_with_their_positions(port, case):
    patches_change_places(port, case)


@requirement("PROP-7")
@for_cases(("axial",), frames="trained", patches="trained")
def test_rows_and_columns_may_change_places_with_their_positions(port, case):
    _, h, w = case.grid
    rows, columns = shuffled(case, h), shuffled(replace(case, seed=case.seed + 1), w)
    places = (w * rows[:, None] + columns).reshape(-1)
    what = "when rows and columns change places together with their positions"
    same_logits(port, case, what, **moved(case, places))


def image_vit(case):
    """Logits of an image ViT made of PyTorch's own encoder layers, on the first frame."""
    config, w = case.config, {n: torch.from_numpy(x) for n, x in case.weights.items()}
    kernel = {"weight": w["patch_embed.proj.weight"], "bias": w["patch_embed.proj.bias"]}
    patches = torch.nn.functional.conv2d(
        torch.from_numpy(case.video[:, 0]), **kernel, stride=config.patch_size
    )
    patches = rearrange(patches, "b d h w -> b (h w) d")
    tokens = (
        torch.cat([w["cls_token"].expand(len(patches), 1, -1), patches], dim=1) + w["pos_embed"]
    )
    for i in range(config.num_hidden_layers):
        layer = torch.nn.TransformerEncoderLayer(
            config.hidden_size, config.num_attention_heads, config.intermediate_size, dropout=0.0,
            activation="gelu", layer_norm_eps=config.layer_norm_eps, batch_first=True,
            norm_first=True, dtype=torch.float64,
        )  # fmt: skip
        block = part(w, f"blocks.{i}")
        layer.load_state_dict({theirs: block[ours] for theirs, ours in ENCODER_LAYER.items()})
        tokens = layer.eval()(tokens)
    norm = {"weight": w["norm.weight"], "bias": w["norm.bias"], "eps": config.layer_norm_eps}
    normed = torch.nn.functional.layer_norm(tokens[:, 0], (config.hidden_size,), **norm)
    return torch.nn.functional.linear(normed, w["head.weight"], w["head.bias"]).detach().numpy()


ENCODER_LAYER = {
    "self_attn.in_proj_weight": "attn.qkv.weight",
    "self_attn.in_proj_bias": "attn.qkv.bias",
    "self_attn.out_proj.weight": "attn.proj.weight",
    "self_attn.out_proj.bias": "attn.proj.bias",
    "linear1.weight": "mlp.fc1.weight",
    "linear1.bias": "mlp.fc1.bias",
    "linear2.weight": "mlp.fc2.weight",
    "linear2.bias": "mlp.fc2.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
}
"""PyTorch's names for the weights of a block of an image ViT, and ours."""


@requirement("PROP-8")
@for_cases(("joint_space_time",), frames="single", patches="trained", qkv_bias=True)
def test_one_frame_of_a_joint_model_is_an_image(port, case):
    weights = case.weights | {"time_embed": 0 * case.weights["time_embed"]}
    agree(port, case, "forward", weights=weights, golden=image_vit(case))


def unlike(port, attention_type, clip):
    """A clip of 4 x 4 patches trained, of another number of frames, rows and columns."""
    config = TimeSformerConfig(
        image_size=8, patch_size=2, num_channels=1, num_frames=4, hidden_size=4,
        num_attention_heads=2, num_hidden_layers=1, intermediate_size=4, num_labels=2,
        attention_type=attention_type,
    )  # fmt: skip
    frames, rows, columns = clip
    config = port.constraints.adapt(config)
    return Case(config, (1, frames, 1, 2 * rows, 2 * columns), dtype=port.dtype)


@requirement("REFUSE-1")
@pytest.mark.parametrize("clip", [(3, 4, 4), (4, 3, 4), (4, 4, 5)])
def test_a_clip_that_a_grouping_cannot_divide_is_refused(port, clip):
    agree(port, unlike(port, "sparse_local_global", (4, 4, 4)), "forward")  # it is no other error
    question = Question(port, unlike(port, "sparse_local_global", clip), "forward")
    question.refused("returned logits for a clip that the scheme cannot group")


@requirement("REFUSE-2")
@pytest.mark.parametrize("clip", [(2, 4, 4), (8, 4, 4), (5, 4, 4), (4, 2, 8), (4, 3, 5)])
def test_a_clip_of_another_size_is_refused_or_classified_rightly(port, clip):
    scheme = port.offered(ANY_GRID)[-1]
    case = unlike(port, scheme, clip)
    try:
        agree(port, case, "forward")
    except NotJudged:  # a port that declares fixed sizes may refuse
        return
