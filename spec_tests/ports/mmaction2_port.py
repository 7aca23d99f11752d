"""mmaction2's TimeSformer by the port interface, its backbone and the linear layer of its head.

All that is computed is computed by the library's own forward; hooks read and put tokens. Its wheel
(1.2.0) lacks a folder, so that `mmaction.models` cannot be imported whole: stand-ins for its
packages lead to the two files that are needed. `mmcv-lite` 2.1 and OpenCV are enough.
"""

import sys
from importlib import import_module
from types import ModuleType

import mmaction
import torch
from mmengine.registry import DefaultScope
from torch import nn

from spec_tests.ports.hooks import entering, leaving

NAME = "mmaction2"
FIXED_FRAMES = FIXED_FRAME_SIZE = True
CONSTRAINTS = {
    "intermediate_size": "4 * hidden_size",
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "square_frames": True,
}

DEFECTS = {
    "TIME-5": "the time table is added as it is (279), and broadcasts over a clip of one frame",
    "DIV-1": "the number of frames is taken from the config (common/transformer.py, 76)",
}
"""What the library does (1.2.0, lines of `timesformer.py`) where it breaks a requirement: no more
and no less than the suite finds. Other clips are refused, with an error."""

DIVIDED = {
    "norm1": "attentions.1.norm",
    "attn.qkv.": "attentions.1.attn.in_proj_",
    "attn.proj": "attentions.1.attn.out_proj",
    "temporal_norm1": "attentions.0.norm",
    "temporal_attn.qkv.": "attentions.0.attn.in_proj_",
    "temporal_attn.proj": "attentions.0.attn.out_proj",
    "temporal_fc": "attentions.0.temporal_fc",
    "norm2": "ffns.0.norm",
    "mlp.fc1": "ffns.0.layers.0.0",
    "mlp.fc2": "ffns.0.layers.1",
}
OTHERS = DIVIDED | {
    "norm1": "norms.0",
    "attn.qkv.": "attentions.0.attn.in_proj_",
    "attn.proj": "attentions.0.attn.out_proj",
    "norm2": "norms.1",
}
"""The library's names for the layers of a block, by ours."""


def backbone():
    DefaultScope.get_instance("mmaction", scope_name="mmaction")
    for name in ("models", "models.backbones", "models.common"):
        module = ModuleType(f"mmaction.{name}")
        module.__path__ = [f"{mmaction.__path__[0]}/{name.replace('.', '/')}"]
        sys.modules[module.__name__] = module
    import_module("mmaction.models.common.transformer")
    return import_module("mmaction.models.backbones.timesformer").TimeSformer


TimeSformer = backbone()


def load(weights, config):
    body = TimeSformer(
        num_frames=config.num_frames,
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dims=config.hidden_size,
        num_heads=config.num_attention_heads,
        num_transformer_layers=config.num_hidden_layers,
        in_channels=config.num_channels,
        attention_type=config.attention_type,
    )
    model = nn.Sequential(body, nn.Linear(config.hidden_size, config.num_labels)).eval()
    model.load_state_dict({their_name(n, config): torch.tensor(w) for n, w in weights.items()})
    return model


def their_name(name, config):
    if name.startswith("head."):
        return name.replace("head", "1")
    if not name.startswith("blocks."):
        return "0." + name.replace("patch_embed.proj", "patch_embed.projection")
    _, number, layer = name.split(".", 2)
    table = DIVIDED if config.attention_type == "divided_space_time" else OTHERS
    ours = next(ours for ours in sorted(table, key=len)[::-1] if layer.startswith(ours))
    return f"0.transformer_layers.layers.{number}.{layer.replace(ours, table[ours], 1)}"


def clip(video):
    """The library has channels before frames."""
    return torch.tensor(video).transpose(1, 2)


def blank(clips, config):
    side = config.image_size
    return torch.zeros(clips, config.num_channels, config.num_frames, side, side)


def block_of(model, layer):
    return model[0].transformer_layers.layers[layer]


@torch.no_grad()
def forward(video, model, config):
    return model(clip(video)).numpy()


@torch.no_grad()
def patchify(video, model, config):
    frames = entering(model[0].drop_after_pos, lambda: model(clip(video)))
    return frames.unflatten(0, video.shape[:2]).numpy()


@torch.no_grad()
def time_embedding(frames, model, config):
    with leaving(model[0].drop_after_pos, torch.tensor(frames).flatten(0, 1)):
        run = lambda: model(blank(len(frames), config))  # noqa: E731
        return entering(model[0].transformer_layers, run).numpy()


@torch.no_grad()
def attention_step(tokens, model, config, layer, grid, step):
    if config.attention_type != "divided_space_time":
        raise NotImplementedError("a step alone, in a layer that has its norm outside")
    return block_of(model, layer).attentions[step == "spatial"](torch.tensor(tokens)).numpy()


@torch.no_grad()
def mlp(tokens, model, config, layer):
    if config.attention_type != "divided_space_time":
        raise NotImplementedError("the MLP alone, in a layer that has its norm outside")
    return block_of(model, layer).ffns[0](torch.tensor(tokens)).numpy()


@torch.no_grad()
def block(tokens, model, config, layer, grid):
    return block_of(model, layer)(torch.tensor(tokens), None, None).numpy()


@torch.no_grad()
def classifier(tokens, model, config, grid):
    with leaving(model[0].transformer_layers, torch.tensor(tokens)):
        return model(blank(1, config)).numpy()
