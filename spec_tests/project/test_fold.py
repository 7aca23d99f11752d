"""A folded model gives the same answers, of every scheme, to the rounding of float64."""

import pytest
import torch

from spec_tests.project.closeness import assert_close
from spec_tests.project.tiny import checkpoint, clip
from timesformer_ref import TimeSformer
from timesformer_ref.inference.fold import fold
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.training.checkpointing import checkpoint_blocks
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


@pytest.mark.usefixtures("unchecked")
def test_normalised_frames_are_refused_where_pixels_are_expected():
    folded = fold(model(), MEAN, STD)
    for video in (clip().double(), clip(), clip().int()):
        with pytest.raises(ValueError, match=f"holds {video.dtype}, expected pixels as uint8"):
            folded(video)
    with pytest.raises(ValueError, match=r"holds torch\.uint8, expected normalised"):
        fold(model())(torch.zeros(1, 4, 3, 32, 32, dtype=torch.uint8))


def test_the_loss_of_a_folded_model_is_the_same():
    before, video, labels = model(), clip(batch=2).double(), torch.tensor([3, 0])
    assert_close(fold(before)(video, labels).loss, before(video, labels).loss, "loss")


def test_the_gradient_of_the_input_is_the_same():
    before, gradients = model(), []
    for timesformer in (before, fold(before)):
        video = clip().double().requires_grad_()
        timesformer(video).logits.square().sum().backward()
        gradients.append(video.grad)
    assert_close(gradients[1], gradients[0], "gradient")


def test_a_folded_model_is_not_folded_again():
    with pytest.raises(ValueError, match="fold the one that it was made of"):
        fold(fold(model()))


def test_a_folded_model_can_be_converted():
    before = model()
    found = fold(before).float()(clip()).logits
    assert (found - before(clip().double()).logits).abs().max() < 1e-4
    assert before.cls_token.dtype == torch.float64


def test_float64_is_asked_of_the_cpu_only(monkeypatch):
    """A device may lack it (Apple's): there, weights are moved to the CPU before."""
    before, double, moved = model(), torch.Tensor.double, []

    def cpu(tensor):
        moved.append(tensor.clone())
        return moved[-1]

    def checked(tensor):
        assert any(tensor is other for other in moved), "float64 on the model's own device"
        return double(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "double", checked)
    folded = fold(before, MEAN, STD)
    assert len(moved) > 20
    assert {w.device for w in folded.parameters()} == {before.cls_token.device}


def test_the_model_itself_stays_as_it_was():
    before = model()
    weights = {name: w.clone() for name, w in before.state_dict().items()}
    fold(before, MEAN, STD)
    assert all(torch.equal(w, weights[name]) for name, w in before.state_dict().items())


def test_a_layer_of_every_block_is_gone():
    before = model()
    kept = sum(w.numel() for w in fold(before).parameters())
    d, depth = before.config.hidden_size, before.config.num_hidden_layers
    norms = depth * 3 * 2 * d
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


def test_a_model_with_activation_checkpointing_is_folded_too():
    before, video = model(), clip().double()
    expected = before(video).logits
    checkpoint_blocks(before)
    folded = fold(before)
    assert folded.blocks[0].forward.args[0].__self__ is folded.blocks[0]
    assert_close(folded(video).logits, expected, "logits")
