"""Hugging Face `transformers`' TimesformerForVideoClassification by the port interface.

All that is computed is computed by the library's own forward. Hooks read the tokens at a place of
it, put others there, or silence a residual branch; nothing of the model is written here.

Its config refuses a `drop_path_rate` that is not a whole number, so here it is 0; and with a single
label its loss is the squared error. No requirement asks for these two.
"""

from dataclasses import replace

import torch
from transformers import TimesformerConfig, TimesformerForVideoClassification

from spec_tests.ports.hooks import entering, leaving, silent
from timesformer_ref.checkpoints.hugging_face import config_json, rename_to_hugging_face
from timesformer_ref.checkpoints.names import original_name

NAME = "transformers"
_FRAMES = "frames and columns of patches are taken from the config, not from the clip (308 to 312)"
_SPACE_ONLY = "a space-only model does not average its frames (704, 706), and has no loss (726)"
_START = "every linear layer and convolution starts the same: normal, its bias at zero (452 to 455)"
DEFECTS = {
    "DIV-1": _FRAMES,
    "DIV-6": _FRAMES,
    "DIV-7": _FRAMES,
    "HEAD-3": _SPACE_ONLY,
    "INIT-3": _START,
    "INIT-4": _START,
    "REFUSE-2": _FRAMES,
}
"""What the library does (version 5.24.0, lines of `modeling_timesformer.py`) where it breaks a
requirement: no more and no less than the suite finds."""
RESIDUALS = {"temporal_dense", "attention.output", "output"}
"""The modules of a block whose results are added to the tokens: temporal step, last step, MLP."""


def build(config):
    config = replace(config, drop_path_rate=0.0)  # the library's own takes whole numbers only
    return TimesformerForVideoClassification(TimesformerConfig(**config_json(config, None)))


def load(weights, config):
    model = build(config)
    tensors = {name: torch.tensor(w) for name, w in weights.items()}
    model.load_state_dict(rename_to_hugging_face(tensors, config))
    return model.eval()


def only(residual, layer, tokens):
    """The block's answer when its other branches add zeros."""
    with silent(m for name, m in layer.named_modules() if name in RESIDUALS - {residual}):
        return layer(tokens)[0]


def blank(clips, config):
    side = config.image_size
    return torch.zeros(clips, config.num_frames, config.num_channels, side, side)


@torch.no_grad()
def forward(video, model, config):
    return model(torch.tensor(video)).logits.numpy()


@torch.no_grad()
def patchify(video, model, config):
    frames = entering(model.timesformer.embeddings.pos_drop, lambda: model(torch.tensor(video)))
    return frames.unflatten(0, video.shape[:2]).numpy()


@torch.no_grad()
def time_embedding(frames, model, config):
    embeddings, layers = model.timesformer.embeddings, model.timesformer.encoder.layer
    b, t = frames.shape[:2]
    video = blank(b, replace(config, num_frames=t))
    with leaving(embeddings.pos_drop, torch.tensor(frames).flatten(0, 1)):
        return entering(layers[0], lambda: model(video)).numpy()


@torch.no_grad()
def attention_step(tokens, model, config, layer, grid, step):
    residual = "temporal_dense" if step == "temporal" else "attention.output"
    return only(residual, model.timesformer.encoder.layer[layer], torch.tensor(tokens)).numpy()


@torch.no_grad()
def mlp(tokens, model, config, layer):
    # By its modules: the whole block's attention of many thousand tokens would fill the memory.
    block, tokens = model.timesformer.encoder.layer[layer], torch.tensor(tokens)
    return (tokens + block.output(block.intermediate(block.layernorm_after(tokens)))).numpy()


@torch.no_grad()
def block(tokens, model, config, layer, grid):
    return model.timesformer.encoder.layer[layer](torch.tensor(tokens))[0].numpy()


@torch.no_grad()
def classifier(tokens, model, config, grid):
    with leaving(model.timesformer.encoder.layer[-1], (torch.tensor(tokens),)):
        return model(blank(1, config)).logits.numpy()


def gradients(video, labels, model, config):
    model.zero_grad()
    loss = model(torch.tensor(video), torch.tensor(labels)).loss
    loss.backward()
    found = {name: p.grad.numpy() for name, p in model.named_parameters()}
    return loss.item(), renamed(found)


def initial_weights(config, seed):
    torch.manual_seed(seed)
    weights = {name: w.numpy() for name, w in build(config).state_dict().items()}
    return renamed(weights)


def renamed(weights):
    """Weights by the original's names."""
    return {original_name(name)[1]: weight for name, weight in weights.items()}
