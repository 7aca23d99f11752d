"""This project's PyTorch implementation by the port interface, in float32 or float64 as asked."""

import torch

from timesformer_ref.config import SCHEMES
from timesformer_ref.sampling import frame_indices, segment_indices
from timesformer_ref.torch_blocks import classifier as head
from timesformer_ref.torch_blocks import patchify as blocks
from timesformer_ref.torch_blocks.model import TimeSformer
from timesformer_ref.torch_blocks.time_embedding import time_embedding as embed
from timesformer_ref.views import crops

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


def load(weights, config):
    with torch.device("meta"):
        model = TimeSformer(config)
    model.load_state_dict({n: torch.tensor(w) for n, w in weights.items()}, assign=True)
    return model.eval()


@torch.no_grad()
def forward(video, model, config):
    return model(torch.tensor(video)).logits.numpy()


@torch.no_grad()
def patchify(video, model, config):
    video = torch.tensor(video)
    return blocks.patchify(video, model.patch_embed, model.cls_token, model.pos_embed).numpy()


@torch.no_grad()
def time_embedding(frames, model, config):
    return embed(torch.tensor(frames), model.time_embed, model.time_drop).numpy()


@torch.no_grad()
def attention_step(tokens, model, config, layer, grid, step):
    return model.blocks[layer].attention_step(torch.tensor(tokens), grid, step)[0].numpy()


@torch.no_grad()
def mlp(tokens, model, config, layer):
    return model.blocks[layer].feed_forward(torch.tensor(tokens)).numpy()


@torch.no_grad()
def block(tokens, model, config, layer, grid):
    return model.blocks[layer](torch.tensor(tokens), grid)[0].numpy()


@torch.no_grad()
def classifier(tokens, model, config, grid):
    tokens = torch.tensor(tokens)
    return head.classifier(tokens, model.norm, model.head, config, grid[0]).numpy()


def gradients(video, labels, model, config):
    model.zero_grad()
    loss = model(torch.tensor(video), torch.tensor(labels).long()).loss
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in model.named_parameters()}


def initial_weights(config, seed):
    torch.manual_seed(seed)
    return {name: w.numpy() for name, w in TimeSformer(config).state_dict().items()}
