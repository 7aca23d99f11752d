"""The whole model: patchify, time embedding, the blocks, classifier."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.torch_blocks.classifier import classifier, cross_entropy
from timesformer_ref.torch_blocks.divided_attention import Block
from timesformer_ref.torch_blocks.patchify import PatchEmbed, patchify
from timesformer_ref.torch_blocks.time_embedding import time_embedding
from timesformer_ref.weights import weight_table


class Output(NamedTuple):
    """What the model returns; the last three only on request.

    logits: b labels.
    loss: mean cross-entropy over the batch, where labels were given.
    hidden_states: the tokens that enter block 0, then those that leave each block,
        b (1 + n t) d, class token first and time fastest (space-only: (b t) (1 + n) d).
    attentions: for each block, the weights of each step by name, groups heads m m.
    """

    logits: Float[Tensor, "b labels"]
    loss: Float[Tensor, ""] | None = None
    hidden_states: tuple[Float[Tensor, "b2 s d"], ...] | None = None
    attentions: tuple[dict[str, Float[Tensor, "g a m m"]], ...] | None = None


START: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "normal": partial(nn.init.trunc_normal_, std=0.02, a=-2.0, b=2.0),
}
"""How weights get their start values, by the weight table's names for them."""


class TimeSformer(nn.Module):
    """A video transformer (paper, section 3; original `VisionTransformer`).

    Its weights start as the original's do, from PyTorch's random numbers. Set
    `gradient_checkpointing` to recompute each block in the backward pass instead of keeping its
    activations. `takes_pixels` is set where `fold` has moved the normalisation into the weights.
    """

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        self.takes_pixels = False
        depth, d = config.num_hidden_layers, config.hidden_size
        self.cls_token = nn.Parameter(torch.empty(1, 1, d))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + config.grid[1] * config.grid[2], d))
        self.time_embed = (
            None if config.separate_frames else nn.Parameter(torch.empty(1, config.num_frames, d))
        )
        self.patch_embed = PatchEmbed(config)
        self.pos_drop = nn.Dropout(config.hidden_dropout_prob)
        self.time_drop = nn.Dropout(config.hidden_dropout_prob)
        rates = torch.linspace(0, config.drop_path_rate, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(d, config.layer_norm_eps)
        self.head = nn.Linear(d, config.num_labels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Give every weight its start value from the weight table."""
        table = weight_table(self.config)
        for name, parameter in self.named_parameters():
            if table[name].start == "fan_in":
                bound = self.patch_embed.proj.weight[0].numel() ** -0.5
                nn.init.uniform_(parameter, -bound, bound)
            else:
                START[table[name].start](parameter)

    def forward(
        self,
        video: Float[Tensor, "b t c H W"] | UInt8[Tensor, "b t c H W"],
        labels: Int[Tensor, " b"] | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Output:
        """Classify a batch of normalised clips, of the type and on the device of the weights.

        A folded model may take pixels as they are stored instead (see `fold`).
        The clip may have another number of frames or another frame size than the weights were
        trained for. Raises ValueError for a clip that the model cannot take.
        """
        if self.takes_pixels:
            video = video.to(self.cls_token.dtype)
        elif not video.is_floating_point():
            raise ValueError(f"the video holds {video.dtype}, expected normalised floating point")
        grid = self.config.clip_grid(video.shape)
        frames = patchify(video, self.patch_embed, self.cls_token, self.pos_embed)
        tokens = time_embedding(self.pos_drop(frames), self.time_embed, self.time_drop)
        hidden_states, attentions = [tokens], []
        for i, block in enumerate(self.blocks, start=1):
            class_token_only = i == len(self.blocks) and not output_hidden_states
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens, attention = checkpoint(
                    block, tokens, grid, output_attentions, class_token_only, use_reentrant=False
                )
            else:
                tokens, attention = block(tokens, grid, output_attentions, class_token_only)
            if output_hidden_states:
                hidden_states.append(tokens)
            if output_attentions:
                attentions.append(attention)
        logits = classifier(tokens, self.norm, self.head, self.config, grid[0])
        return Output(
            logits,
            None if labels is None else cross_entropy(logits, labels),
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attentions) if output_attentions else None,
        )
