"""This project's NumPy implementation by the port interface, in float32 or float64 as asked."""

from spec_tests.harness.backward import gradients
from timesformer_ref.checkpoints.initialise import initial_weights
from timesformer_ref.input.sampling import frame_indices, segment_indices
from timesformer_ref.input.views import crops
from timesformer_ref.numpy_blocks import classifier as head
from timesformer_ref.numpy_blocks import divided_attention, model
from timesformer_ref.numpy_blocks.patchify import patchify
from timesformer_ref.numpy_blocks.time_embedding import time_embedding
from timesformer_ref.schemes import SCHEMES
from timesformer_ref.weights import part

__all__ = [
    "attention_step",
    "block",
    "classifier",
    "crops",
    "forward",
    "frame_indices",
    "gradients",
    "initial_weights",
    "mlp",
    "patchify",
    "segment_indices",
    "time_embedding",
]

NAME = "timesformer_ref (NumPy)"
ATTENTION_TYPES = tuple(SCHEMES)


def forward(video, weights, config):
    return model.forward(video, weights, config).logits


def attention_step(tokens, weights, config, layer, grid, step):
    w = part(weights, f"blocks.{layer}")
    return divided_attention.attention_step(tokens, w, config, grid, step)[0]


def mlp(tokens, weights, config, layer):
    return divided_attention.feed_forward(tokens, part(weights, f"blocks.{layer}"), config)


def block(tokens, weights, config, layer, grid):
    return divided_attention.block(tokens, part(weights, f"blocks.{layer}"), config, grid)[0]


def classifier(tokens, weights, config, grid):
    return head.classifier(tokens, weights, config, grid[0])
