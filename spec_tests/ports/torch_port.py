"""This project's PyTorch implementation by the port interface, in the type of its weights."""

import torch

from timesformer_ref.input.sampling import frame_indices, segment_indices
from timesformer_ref.input.views import crops
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.torch_blocks import classifier as head
from timesformer_ref.torch_blocks import patchify as blocks
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.torch_blocks.time_embedding import time_embedding as embed

__all__ = [
    "attention_step",
    "block",
    "classifier",
    "crops",
    "forward",
    "frame_indices",
    "gradients",
    "initial_weights",
    "load",
    "mlp",
    "patchify",
    "segment_indices",
    "time_embedding",
]

NAME = "timesformer_ref (PyTorch)"
ATTENTION_TYPES = tuple(SCHEMES)


def load(weights, config, dtype=torch.float32):
    with torch.device("meta"):
        model = TimeSformer(config)
    weights = {name: torch.tensor(w, dtype=dtype) for name, w in weights.items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def tensor(x, model):
    return torch.tensor(x, dtype=model.cls_token.dtype)


def array(x):
    small = x.dtype in (torch.bfloat16, torch.float16)
    return (x.float() if small else x).detach().numpy()


@torch.no_grad()
def forward(video, model, config):
    return array(model(tensor(video, model)).logits)


@torch.no_grad()
def patchify(video, model, config):
    return array(blocks.patchify(tensor(video, model), model))


@torch.no_grad()
def time_embedding(frames, model, config):
    return array(embed(tensor(frames, model), model))


@torch.no_grad()
def attention_step(tokens, model, config, layer, grid, step):
    return array(model.blocks[layer].attention_step(tensor(tokens, model), grid, step)[0])


@torch.no_grad()
def mlp(tokens, model, config, layer):
    return array(model.blocks[layer].feed_forward(tensor(tokens, model)))


@torch.no_grad()
def block(tokens, model, config, layer, grid):
    return array(model.blocks[layer](tensor(tokens, model), grid)[0])


@torch.no_grad()
def classifier(tokens, model, config, grid):
    return array(head.classifier(tensor(tokens, model), model, grid[0]))


def gradients(video, labels, model, config):
    model.zero_grad()
    loss = model(tensor(video, model), torch.tensor(labels)).loss
    loss.backward()
    return array(loss), {name: array(p.grad) for name, p in model.named_parameters()}


def initial_weights(config, seed):
    torch.manual_seed(seed)
    return {name: array(w) for name, w in TimeSformer(config).state_dict().items()}
