"""What PyTorch adds to the specification: training, compilation, devices and types."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spec_tests.project.processes import afresh
from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.inference.fast import for_inference
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks.layers import StochasticDepth
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.training.checkpointing import checkpoint_blocks

TINY = TimeSformerConfig(
    image_size=16, patch_size=4, num_frames=4, hidden_size=16, num_hidden_layers=3,
    num_attention_heads=2, intermediate_size=24, num_labels=5, drop_path_rate=0.0,
)  # fmt: skip
SCHEME = pytest.mark.parametrize("attention_type", sorted(SCHEMES))


def tiny(**changes):
    torch.manual_seed(0)
    model = TimeSformer(replace(TINY, **changes))
    for parameter in model.parameters():  # no weight at zero, so that every one counts
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def clip(b=2, t=4, size=16, dtype=torch.float32):
    return torch.randn(b, t, 3, size, size, generator=torch.Generator().manual_seed(1)).to(dtype)


@torch.no_grad()
def compile_as_one_graph(schemes, backend):
    """The largest difference of the logits from those of the same models, not compiled."""
    models = [tiny(attention_type=scheme, num_hidden_layers=1) for scheme in schemes]

    def logits(video):
        return torch.cat([model(video).logits for model in models])

    compiled = torch.compile(logits, fullgraph=True, backend=backend)
    video = clip(t=6, size=24)
    return (compiled(video) - logits(video)).abs().max().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schemes", "backend"), [(list(SCHEMES), "aot_eager"), (["divided_space_time"], "inductor")]
)
def test_schemes_compile_as_one_graph_resizes_included(schemes, backend):
    """In a process of its own: the shape checks of these tests cannot be compiled."""
    assert afresh(compile_as_one_graph, schemes, backend, seconds=180) < 1e-5


@SCHEME
def test_gradient_checkpointing_leaves_loss_and_gradients_as_they_are(attention_type):
    grads = []
    for checkpointing in (False, True):
        model = tiny(attention_type=attention_type).train()
        if checkpointing:
            checkpoint_blocks(model)
        loss = model(clip(), torch.tensor([0, 3])).loss
        loss.backward()
        grads.append([loss.detach(), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(grads[0], grads[1])


def test_gradient_checkpointing_leaves_the_names_of_weights():
    model = tiny()
    before = list(model.state_dict())
    checkpoint_blocks(model)
    assert list(model.state_dict()) == before


def test_gradient_checkpointing_keeps_fewer_activations():
    def kept(checkpointing):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        model = tiny(num_hidden_layers=6)
        if checkpointing:
            checkpoint_blocks(model)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model(clip(), torch.tensor([0, 3]))
        return count

    assert kept(True) < kept(False) / 3


def test_labels_give_the_mean_cross_entropy():
    logits, loss, *_ = tiny()(clip(), torch.tensor([0, 3]))
    expected = -torch.log_softmax(logits, dim=1)[[0, 1], [0, 3]].mean()
    torch.testing.assert_close(loss, expected)
    assert tiny()(clip()).loss is None


def test_stochastic_depth_drops_whole_rows_and_keeps_the_expectation():
    torch.manual_seed(0)
    layer = StochasticDepth(0.25).train()
    out = layer(torch.ones(20_000, 3, 2))
    rows = out.flatten(1)
    assert (rows == rows[:, :1]).all()
    assert out.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(layer.eval()(out), out)


def test_rates_of_stochastic_depth_rise_linearly_over_the_blocks():
    model = tiny(drop_path_rate=0.2)
    assert [block.drop_path.rate for block in model.blocks] == pytest.approx([0, 0.1, 0.2])


def test_stochastic_depth_drops_places_in_the_temporal_step_and_frames_in_the_spatial_one():
    """Before `temporal_fc`, whose bias is added to dropped places too, as in the original."""
    model = tiny(drop_path_rate=0.6, num_hidden_layers=2).train()
    block, video = model.blocks[1], clip(b=1)
    tokens = model(video, output_hidden_states=True).hidden_states[0].detach()
    with torch.no_grad():
        after = block.attention_step(tokens, (4, 4, 4), "temporal")[0]
        update = (after - tokens)[0, 1:].unflatten(0, (16, 4)) - block.temporal_fc.bias
        dropped = (update.abs() < 1e-6).all(dim=2)
        assert (dropped.all(dim=1) == dropped.any(dim=1)).all(), "a place is dropped in all frames"
        assert 0 < dropped[:, 0].sum() < 16
        after = block.attention_step(tokens, (4, 4, 4), "spatial")[0]
        dropped = ((after - tokens)[0, 1:].unflatten(0, (16, 4)) == 0).all(dim=2)
        assert (dropped.all(dim=0) == dropped.any(dim=0)).all(), "a frame is dropped in all places"
        assert 0 < dropped[0].sum() < 4


@SCHEME
def test_dropout_acts_in_training_only(attention_type):
    changes = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.3}
    model, video = tiny(attention_type=attention_type, **changes), clip()
    assert torch.equal(model(video).logits, model(video).logits)
    model.train()
    assert not torch.equal(model(video).logits, model(video).logits)
    weights = model(video, output_attentions=True)
    assert torch.isfinite(weights.logits).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("make", [lambda m: m, for_inference], ids=["plain", "for inference"])
@torch.no_grad()
def test_attention_dropout_acts_in_training_without_gradients_too(dtype, make):
    """As for a Monte Carlo estimate of the uncertainty; with one attention, in all its forms."""
    one = {"attention_type": "joint_space_time", "num_hidden_layers": 1}
    model = make(tiny(attention_probs_dropout_prob=0.5, **one)).to(dtype)
    for whole in (False, True):
        runs = [model.train(training)(clip(dtype=dtype), output_hidden_states=whole).logits
                for training in (True, True, False, False)]  # fmt: skip
        assert not torch.equal(runs[0], runs[1])
        assert torch.equal(runs[2], runs[3])


@SCHEME
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_model_runs_in_every_floating_type(attention_type, dtype):
    model, video = tiny(attention_type=attention_type), clip()
    exact = model(video).logits
    logits = model.to(dtype)(video.to(dtype)).logits
    assert logits.dtype == dtype
    tolerance = 64 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    assert (logits.float() - exact).abs().max() <= tolerance * exact.abs().max()


@SCHEME
def test_attention_weights_on_request_do_not_change_the_logits(attention_type):
    model, video = tiny(attention_type=attention_type), clip()
    out = model(video, output_attentions=True, output_hidden_states=True)
    torch.testing.assert_close(out.logits, model(video).logits)
    assert [tuple(a) for a in out.attentions] == [SCHEMES[attention_type]] * 3
    assert len(out.hidden_states) == 4
    assert model(video).attentions is None
    assert model(video).hidden_states is None


def test_the_state_dict_has_the_names_and_shapes_of_the_weight_table():
    from timesformer_ref.weights import weight_table

    for attention_type in SCHEMES:
        for qkv_bias in (True, False):
            model = tiny(attention_type=attention_type, qkv_bias=qkv_bias)
            table = weight_table(model.config)
            found = {name: tuple(w.shape) for name, w in model.state_dict().items()}
            assert found == {name: weight.shape for name, weight in table.items()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@SCHEME
def test_the_gpu_gives_the_cpus_logits(attention_type):
    model, video = tiny(attention_type=attention_type), clip(t=6, size=24)
    expected = model(video).logits
    found = model.cuda()(video.cuda()).logits.cpu()
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
