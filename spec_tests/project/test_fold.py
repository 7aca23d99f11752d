"""A folded model gives the same answers, of every scheme, to the rounding of float64."""

import pytest
import torch

from spec_tests.project.closeness import assert_close
from spec_tests.project.tiny import checkpoint, clip
from timesformer_ref import TimeSformer
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.fold import fold
from timesformer_ref.weights import count_parameters

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def model(**fields):
    found = TimeSformer.from_checkpoint(checkpoint(**fields), dtype=torch.float64)
    return found.requires_grad_(False)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_a_folded_model_answers_the_same(scheme, qkv_bias):
    before = model(attention_type=scheme, qkv_bias=qkv_bias)
    video = clip(batch=2).double()
    assert_close(fold(before)(video).logits.numpy(), before(video).logits.numpy(), "logits")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_block_leaves_the_same_tokens(scheme):
    before, video = model(attention_type=scheme), clip().double()
    expected, found = (
        m(video, output_hidden_states=True).hidden_states for m in (before, fold(before))
    )
    for i, (x, y) in enumerate(zip(found, expected, strict=True)):
        assert_close(x.numpy(), y.numpy(), f"tokens before block {i}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pixels_go_in_as_they_are_stored(scheme):
    before = model(attention_type=scheme)
    pixels = torch.randint(256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    mean, std = (torch.tensor(x, dtype=torch.float64)[:, None, None] for x in (MEAN, STD))
    expected = before((pixels.double() / 255 - mean) / std).logits
    assert_close(fold(before, MEAN, STD)(pixels).logits.numpy(), expected.numpy(), "logits")


def test_the_model_itself_stays_as_it_was():
    before = model()
    weights = {name: w.clone() for name, w in before.state_dict().items()}
    fold(before, MEAN, STD)
    assert all(torch.equal(w, weights[name]) for name, w in before.state_dict().items())
    with pytest.raises(ValueError, match="uint8"):
        before(torch.zeros(1, 4, 3, 32, 32, dtype=torch.uint8))


def test_a_layer_of_every_block_is_gone():
    before = model()
    kept = sum(w.numel() for w in fold(before).parameters())
    d, depth = before.config.hidden_size, before.config.num_hidden_layers
    norms = depth * 3 * 2 * d + 2 * d
    assert count_parameters(before.config) - kept == depth * (d * d + d) + norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_folded_model_keeps_its_type(dtype):
    before = TimeSformer.from_checkpoint(checkpoint(), dtype=dtype)
    assert {w.dtype for w in fold(before).parameters()} == {dtype}


@pytest.mark.parametrize(
    ("mean", "std"), [(MEAN, None), (None, STD), (MEAN, STD[:2]), (MEAN, (0.2, 0.0, 0.3))]
)
def test_half_a_normalisation_is_refused(mean, std):
    with pytest.raises(ValueError, match="3 numbers each"):
        fold(model(), mean, std)
