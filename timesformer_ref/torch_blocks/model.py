"""The whole model: patchify, time embedding, blocks, classifier."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.torch_blocks.classifier import (
    classifier,
    cross_entropy,
    final_norm,
)
from timesformer_ref.torch_blocks.divided_attention import Block
from timesformer_ref.torch_blocks.patchify import PatchEmbed, patchify
from timesformer_ref.torch_blocks.time_embedding import time_embedding
from timesformer_ref.weights import weight_table


class Output(NamedTuple):
    """What the model returns: see NumPy's `Output`."""

    logits: Float[Tensor, "b labels"]
    loss: Float[Tensor, ""] | None = None
    hidden_states: tuple[Float[Tensor, "b2 s d"], ...] | None = None
    attentions: (
        tuple[dict[str, Float[Tensor, "g a m m"]], ...] | None
    ) = None


START: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "normal": partial(nn.init.trunc_normal_, std=0.02, a=-2.0, b=2.0),
}
"""The weight table's names for initial values, as functions."""


class TimeSformer(nn.Module):
    """A video transformer.

    (Paper, section 3; original `VisionTransformer`.) Its initial
    weights are distributed as the original's, from PyTorch's random
    numbers.
    """

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        self.config = config
        depth, d = config.num_hidden_layers, config.hidden_size
        _, h, w = config.grid
        self.cls_token = nn.Parameter(torch.empty(1, 1, d))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + h * w, d))
        if not config.separate_frames:
            time = torch.empty(1, config.num_frames, d)
            self.time_embed = nn.Parameter(time)
        self.patch_embed = PatchEmbed(config)
        self.pos_drop = nn.Dropout(config.hidden_dropout_prob)
        self.time_drop = nn.Dropout(config.hidden_dropout_prob)
        top = config.drop_path_rate
        rates = torch.linspace(0, top, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(
            Block(config, rate) for rate in rates
        )
        self.norm = nn.LayerNorm(d, config.layer_norm_eps)
        self.head = nn.Linear(d, config.num_labels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Give every weight the weight table's initial values."""
        table = weight_table(self.config)
        for name, parameter in self.named_parameters():
            if table[name].start == "fan_in":
                inputs = self.patch_embed.proj.weight[0].numel()
                nn.init.uniform_(
                    parameter, -(inputs**-0.5), inputs**-0.5
                )
            else:
                START[table[name].start](parameter)

    def forward(
        self,
        video: Float[Tensor, "b t c H W"],
        labels: Integer[Tensor, " b"] | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Output:
        """Classify a batch of normalised clips.

        video: of the type and on the device of the weights. The clip
        may have another number of frames or another frame size than the
        weights were trained for.
        Raises ValueError for a clip or labels that the model cannot
        take.
        """
        if not video.is_floating_point():
            raise ValueError(
                f"the video holds {video.dtype}, "
                "expected normalised floating point"
            )
        grid = self.config.clip_grid(video.shape)
        if labels is not None and not torch.compiler.is_compiling():
            self.config.check_labels(labels, video.shape[0])
        frames = patchify(video, self)
        tokens = time_embedding(frames, self)
        hidden_states, attentions = [tokens], []
        for block in self.blocks:
            tokens, attention = block(tokens, grid, output_attentions)
            if output_hidden_states:
                hidden_states.append(tokens)
            if output_attentions:
                attentions.append(attention)
        logits = classifier(tokens, self, grid[0])
        return Output(
            logits,
            None if labels is None else cross_entropy(logits, labels),
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attentions) if output_attentions else None,
        )

    if TYPE_CHECKING:  # so that the type of `model(video)` is known

        def __call__(self, *args: Any, **options: Any) -> Output:
            """See `forward`."""
            ...

    def encode(
        self, video: Float[Tensor, "b t c H W"]
    ) -> Float[Tensor, "b s d"]:
        """All tokens after the last norm, as NumPy's `encode`."""
        out = self.forward(video, output_hidden_states=True)
        last = (out.hidden_states or ())[-1]
        return final_norm(last, self, video.shape[1])
