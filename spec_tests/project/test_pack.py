"""A packed model gives the same answers, of every scheme, to the rounding of its type."""

from itertools import accumulate, cycle
from types import SimpleNamespace

import pytest
import torch

from spec_tests.project.tiny import CONFIG, checkpoint, clip
from timesformer_ref import TimeSformer
from timesformer_ref.benchmark.runners import FOLDED, PACKED, Case, taken
from timesformer_ref.inference import fast, trial
from timesformer_ref.inference import pack as pack_module
from timesformer_ref.inference.fast import slices_keep_up
from timesformer_ref.inference.fold import fold
from timesformer_ref.inference.pack import (
    can_pack,
    fastest,
    one_dnn_multiplies,
    pack,
    packing_pays,
)
from timesformer_ref.schemes import SCHEMES

ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 5e-2}
ONE_DNN = torch.backends.mkldnn.is_available()
IN_BFLOAT16 = ONE_DNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""What this machine has, asked of PyTorch itself: `can_pack` is tested here."""

needs_one_dnn = pytest.mark.skipif(not ONE_DNN, reason="this PyTorch has no oneDNN")
DTYPES = [
    pytest.param(torch.float32, marks=needs_one_dnn),
    pytest.param(
        torch.bfloat16,
        marks=pytest.mark.skipif(not IN_BFLOAT16, reason="oneDNN has no bfloat16 on this CPU"),
    ),
]


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """Trials that find that no form loses here; with `chosen(lost=True)`, that each does."""

    def say(lost):
        for tried in (one_dnn_multiplies, packing_pays, slices_keep_up):
            tried.cache_clear()
        for place in (pack_module, fast):
            monkeypatch.setattr(place, "loses", lambda way, other: lost)

    say(lost=False)
    yield say
    say(lost=False)


def model(dtype=torch.float32, **fields):
    return TimeSformer.from_checkpoint(checkpoint(**fields), dtype=dtype)


def test_float32_packs_wherever_one_dnn_is_there():
    assert can_pack(model()) == ONE_DNN
    assert can_pack(model(torch.bfloat16)) == IN_BFLOAT16
    assert not can_pack(model(torch.float64))
    assert not can_pack(model().to("meta"))


def other_order(x, weight, bias, *rest):
    """An operator that has changed: what it returns is another layer's."""
    return torch.zeros(*x.shape[:-1], len(bias), dtype=x.dtype)


@pytest.mark.parametrize(
    "changes",
    [
        {"_reorder_linear_weight": None},
        {"_linear_pointwise": None},
        {"_is_mkldnn_bf16_supported": None},
        {"_linear_pointwise": lambda x, weight, bias: x},
        {"_linear_pointwise": other_order},
    ],
    ids=["no layout", "no product", "no question", "other arguments", "other results"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_private_operators_have_gone_or_changed_nothing_is_packed(
    monkeypatch, dtype, changes
):
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    operators = {name: getattr(torch.ops.mkldnn, name) for name in names} | changes
    left = SimpleNamespace(**{name: found for name, found in operators.items() if found})
    monkeypatch.setattr(torch.ops, "mkldnn", left)
    found, video = fastest(model(dtype)), clip().to(dtype)
    assert found.packed == (changes == {"_is_mkldnn_bf16_supported": None} and ONE_DNN
                            and dtype == torch.float32)  # fmt: skip
    torch.testing.assert_close(found(video).logits, fold(model(dtype))(video).logits)


@needs_one_dnn
def test_the_fastest_copy_is_packed_where_it_can_be():
    assert fastest(model()).packed
    assert not fastest(model(torch.float64)).packed
    assert taken(Case(CONFIG)) == PACKED


@needs_one_dnn
def test_a_packed_copy_that_loses_here_is_not_chosen(chosen):
    chosen(lost=True)
    assert not fastest(model()).packed
    assert taken(Case(CONFIG)) == FOLDED


def test_slices_that_lose_here_are_not_chosen(chosen):
    q = torch.zeros(2, 3, 4, 8, dtype=torch.bfloat16)
    with torch.no_grad():
        assert fast.faster_in_slices(q)
        assert not fast.faster_in_slices(q.float())
        chosen(lost=True)
        assert not fast.faster_in_slices(q)


@pytest.mark.parametrize(("mine", "lost"), [(0.5, False), (1.05, False), (1.2, True)])
def test_a_way_loses_only_where_it_is_clearly_slower(monkeypatch, mine, lost):
    ticks = accumulate(cycle([0.0, mine, 0.0, 1.0]))  # before and after it, and the other
    monkeypatch.setattr(trial, "process_time", lambda: next(ticks))
    assert trial.loses(lambda: None, lambda: None) == lost


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("first", [lambda m: m, fold], ids=["plain", "folded"])
def test_a_packed_model_answers_the_same(scheme, dtype, first):
    before, video = model(dtype, attention_type=scheme), clip(batch=2).to(dtype)
    expected = before(video).logits
    found = pack(first(before))(video).logits
    assert (found - expected).abs().max() <= ROUNDING[dtype] * expected.abs().max()


@needs_one_dnn
def test_every_block_and_step_is_still_there_to_be_asked_for():
    before, video = model(), clip()
    found, expected = (
        m(video, output_hidden_states=True, output_attentions=True) for m in (pack(before), before)
    )
    torch.testing.assert_close(found.hidden_states, expected.hidden_states)
    torch.testing.assert_close(found.attentions, expected.attentions)


@needs_one_dnn
def test_the_model_itself_stays_as_it_was():
    before = model()
    pack(before)
    assert set(before.state_dict()) == set(checkpoint().weights)
    before(clip(), torch.tensor([1])).loss.backward()


@needs_one_dnn
@pytest.mark.parametrize("make", [pack, fastest])
def test_a_gradient_of_the_input_is_refused_and_not_zero(make):
    video = clip().requires_grad_()
    with pytest.raises(RuntimeError, match="no gradient of its input"):
        make(model())(video)
    with torch.no_grad():
        make(model())(video)


def test_what_one_dnn_does_not_multiply_is_refused():
    with pytest.raises(ValueError, match=r"oneDNN does not multiply torch.float64 on cpu"):
        pack(model(torch.float64))


@needs_one_dnn
@pytest.mark.parametrize(
    "again",
    [
        lambda m: pack(pack(m)),
        lambda m: fold(pack(m)),
        lambda m: fastest(fastest(m)),
        lambda m: pack(fastest(m)),
    ],
)
def test_a_copy_of_a_packed_copy_is_refused(again):
    with pytest.raises(ValueError, match=r"use the one|fold the one"):
        again(model())


@needs_one_dnn
@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.double(),
        lambda m: m.half(),
        lambda m: m.to(torch.bfloat16),
        lambda m: m.to("meta"),
    ],
)
def test_another_type_or_device_is_refused_and_leaves_the_model_whole(convert):
    packed, video = pack(model()), clip()
    expected = packed(video).logits
    with pytest.raises(ValueError, match=r"stays torch.float32 on cpu: convert the model before"):
        convert(packed)
    assert torch.equal(packed.to("cpu", torch.float32).float()(video).logits, expected)
