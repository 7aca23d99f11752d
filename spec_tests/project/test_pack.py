"""A packed model gives the same answers, of every scheme, to the rounding of its type."""

import pytest
import torch

from spec_tests.project.tiny import checkpoint, clip
from timesformer_ref import TimeSformer
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.fold import fold
from timesformer_ref.torch_blocks.pack import can_pack, pack

ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 5e-2}


def model(dtype=torch.float32, **fields):
    return TimeSformer.from_checkpoint(checkpoint(**fields), dtype=dtype)


def packs(dtype):
    return pytest.mark.skipif(not can_pack(model(dtype)), reason=f"oneDNN has no {dtype} here")


@pytest.mark.parametrize("dtype", [pytest.param(d, marks=packs(d)) for d in ROUNDING])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("first", [lambda m: m, fold], ids=["plain", "folded"])
def test_a_packed_model_answers_the_same(scheme, dtype, first):
    before, video = model(dtype, attention_type=scheme), clip(batch=2).to(dtype)
    expected = before(video).logits
    found = pack(first(before))(video).logits
    assert (found - expected).abs().max() <= ROUNDING[dtype] * expected.abs().max()


@packs(torch.float32)
def test_every_block_and_step_is_still_there_to_be_asked_for():
    before, video = model(), clip()
    found, expected = (
        m(video, output_hidden_states=True, output_attentions=True) for m in (pack(before), before)
    )
    torch.testing.assert_close(found.hidden_states, expected.hidden_states)
    torch.testing.assert_close(found.attentions, expected.attentions)


@packs(torch.float32)
def test_the_model_itself_stays_as_it_was():
    before = model()
    pack(before)
    assert set(before.state_dict()) == set(checkpoint().weights)
    before(clip(), torch.tensor([1])).loss.backward()


def test_what_one_dnn_does_not_multiply_is_refused():
    with pytest.raises(ValueError, match=r"oneDNN does not multiply torch.float64 on cpu"):
        pack(model(torch.float64))
