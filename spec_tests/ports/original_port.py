"""The original, facebookresearch/TimeSformer, by the port interface: the ground truth, run live.

TIMESFORMER_ORIGINAL names a checkout of its repository. Its licence (CC-BY-NC 4.0) is not this
project's, so nothing of it is copied here: its model file is imported from there as it stands, with
stand-ins for what today's PyTorch lacks. As in the `transformers` port, hooks read the tokens at a
place of its forward, put others there, or silence a residual branch.
"""

import collections
import importlib
import os
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from spec_tests.harness.errors import BadPort
from spec_tests.ports.hooks import entering, leaving, silent

NAME = "the original"
RESIDUALS = {"temporal": "temporal_fc", "spatial": "attn", "joint": "attn", "mlp": "mlp"}
"""The modules of a block whose results are added to the tokens."""


def import_original(path):
    """The model file, without the packages around it, which need many more libraries."""
    checkout = Path(path or "")
    if not (checkout / "timesformer/models/vit.py").is_file():
        raise BadPort(
            "set TIMESFORMER_ORIGINAL to a checkout of github.com/facebookresearch/TimeSformer "
            f"to test the original (it is {path or 'not set'})"
        )
    stand_ins = {
        "torch._six": {"container_abcs": collections.abc},
        "fvcore": {},
        "fvcore.common": {},
        "fvcore.common.registry": {"Registry": Registry},
        "timesformer": {"__path__": [str(checkout / "timesformer")]},
        "timesformer.models": {"__path__": [str(checkout / "timesformer/models")]},
    }
    for name, content in stand_ins.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    return [importlib.import_module(f"timesformer.models.{name}") for name in ("vit", "losses")]


class Registry:
    """What the original registers its models with, to find them by name."""

    def __init__(self, name):
        self.name = name

    def register(self):
        return lambda model: model


vit, losses = import_original(os.environ.get("TIMESFORMER_ORIGINAL"))


def build(config):
    return vit.VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        in_chans=config.num_channels,
        num_classes=config.num_labels,
        embed_dim=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        mlp_ratio=Fraction(config.intermediate_size, config.hidden_size),
        qkv_bias=config.qkv_bias,
        drop_rate=config.hidden_dropout_prob,
        attn_drop_rate=config.attention_probs_dropout_prob,
        drop_path_rate=config.drop_path_rate,
        norm_layer=partial(nn.LayerNorm, eps=config.layer_norm_eps),
        num_frames=config.num_frames,
        attention_type=config.attention_type,
    )


def load(weights, config):
    model = build(config)
    model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    return model.eval()


def clip(video):
    """The original has channels before frames."""
    return torch.tensor(video).transpose(1, 2)


def blank(clips, frames, config):
    side = config.image_size
    return torch.zeros(clips, config.num_channels, frames, side, side)


def only(residual, block, *args):
    """The block's answer when its other branches add zeros."""
    others = set(RESIDUALS.values()) - {residual}
    with silent(m for name, m in block.named_children() if name in others):
        return block(*args)


@torch.no_grad()
def forward(video, model, config):
    return model(clip(video)).numpy()


@torch.no_grad()
def patchify(video, model, config):
    frames = entering(model.pos_drop, lambda: model(clip(video)))
    return frames.unflatten(0, video.shape[:2]).numpy()


@torch.no_grad()
def time_embedding(frames, model, config):
    b, t, *tokens = frames.shape
    with leaving(model.pos_drop, torch.tensor(frames.reshape(b * t, *tokens))):
        return entering(model.blocks[0], lambda: model(blank(b, t, config))).numpy()


@torch.no_grad()
def attention_step(tokens, model, config, layer, grid, step):
    t, _, w = grid
    return only(
        RESIDUALS[step], model.blocks[layer], torch.tensor(tokens), len(tokens), t, w
    ).numpy()


@torch.no_grad()
def mlp(tokens, model, config, layer):
    return only("mlp", model.blocks[layer], torch.tensor(tokens), len(tokens), 1, 1).numpy()


@torch.no_grad()
def block(tokens, model, config, layer, grid):
    t, _, w = grid
    return model.blocks[layer](torch.tensor(tokens), len(tokens), t, w).numpy()


@torch.no_grad()
def classifier(tokens, model, config, grid):
    clips = len(tokens) // grid[0] if config.separate_frames else len(tokens)
    with leaving(model.blocks[-1], torch.tensor(tokens)):
        return model(blank(clips, grid[0], config)).numpy()


def gradients(video, labels, model, config):
    model.zero_grad()
    loss = losses.get_loss_func("cross_entropy")()(model(clip(video)), torch.tensor(labels))
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in model.named_parameters()}


def initial_weights(config, seed):
    torch.manual_seed(seed)
    return {name: w.numpy() for name, w in build(config).state_dict().items()}
