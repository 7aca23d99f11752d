"""A block of any scheme: attention steps, then an MLP.

The published scheme, divided attention, names the file.
"""

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import STEPS, Grid, step_prefix
from timesformer_ref.torch_blocks.layers import (
    Mlp,
    SelfAttention,
    StochasticDepth,
)


class Block(nn.Module):
    """The attention steps of a scheme, then the MLP.

    Each has its own norm and residual.
    drop_path: the probability of stochastic depth in this block.
    """

    norm1: nn.LayerNorm
    attn: SelfAttention

    def __init__(
        self, config: TimeSformerConfig, drop_path: float
    ) -> None:
        super().__init__()
        self.config = config
        d, eps = config.hidden_size, config.layer_norm_eps
        for step in config.steps:
            prefix = step_prefix(config.attention_type, step)
            attention = SelfAttention(
                d,
                config.num_attention_heads,
                config.qkv_bias,
                config.hidden_dropout_prob,
                config.attention_probs_dropout_prob,
            )
            self.add_module(f"{prefix}norm1", nn.LayerNorm(d, eps))
            self.add_module(f"{prefix}attn", attention)
            if prefix:
                self.add_module(f"{prefix}fc", nn.Linear(d, d))
        self.norm2 = nn.LayerNorm(d, eps)
        m, rate = config.intermediate_size, config.hidden_dropout_prob
        self.mlp = Mlp(d, m, rate)
        self.drop_path = StochasticDepth(drop_path)

    def earlier_step(
        self,
        tokens: Float[Tensor, "b s d"],
        grid: Grid,
        step: str,
        output_attentions: bool = False,
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """A step before its scheme's last, without the class token.

        Patches attend to their group. The result passes one more linear
        layer, `STEP_fc`, before it is added (paper, eq. 11, but without
        the class token and with that layer; original `Block`).
        """
        rule = STEPS[step]
        lengths = rule.lengths(tokens.shape[0], grid)
        norm1, attn, fc = (
            getattr(self, f"{step}_{name}")
            for name in ("norm1", "attn", "fc")
        )
        class_token, patches = tokens[:, :1], tokens[:, 1:]
        groups = rearrange(patches, rule.group, **lengths)
        update, attention = attn(norm1(groups), output_attentions)
        update = fc(self.drop_path(update))
        patches = patches + rearrange(update, rule.ungroup, **lengths)
        return torch.cat([class_token, patches], dim=1), attention

    def last_step(
        self,
        tokens: Float[Tensor, "b s d"],
        grid: Grid,
        step: str,
        output_attentions: bool = False,
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """The scheme's last step, with the class token in every group.

        Every group gets a copy of the class token, and the copies'
        results are averaged over the groups (paper, eq. 6 where the
        step is spatial; original `Block`).
        """
        rule = STEPS[step]
        lengths = rule.lengths(tokens.shape[0], grid)
        class_token, patches = tokens[:, :1], tokens[:, 1:]
        groups = rearrange(patches, rule.group, **lengths)
        per_clip = groups.shape[0] // tokens.shape[0]
        copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=per_clip)
        groups = torch.cat([copies, groups], dim=1)
        normed = self.norm1(groups)
        update, attention = self.attn(normed, output_attentions)
        update = self.drop_path(update)
        copies, patches = update[:, :1], update[:, 1:]
        mean = reduce(copies, "(b g) 1 d -> b 1 d", "mean", g=per_clip)
        patches = rearrange(patches, rule.ungroup, **lengths)
        return tokens + torch.cat([mean, patches], dim=1), attention

    def attention_step(
        self,
        tokens: Float[Tensor, "b s d"],
        grid: Grid,
        step: str,
        output_attentions: bool = False,
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """The tokens after a step and its residual, and its attention.

        tokens: class token first, then the patches with time fastest.
        `grid` is the clip's frames, rows and columns (einops finds the
        frames from the tokens), `step` a name from the step table. The
        attention weights, by group and head, come on request only.
        """
        last = step == self.config.steps[-1]
        run = self.last_step if last else self.earlier_step
        return run(tokens, grid, step, output_attentions)

    def feed_forward(
        self, tokens: Float[Tensor, "b s d"]
    ) -> Float[Tensor, "b s d"]:
        """The tokens after the MLP and its residual.

        (Paper, eq. 9; original `Block`.)
        """
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        grid: Grid,
        output_attentions: bool = False,
    ) -> tuple[
        Float[Tensor, "b s d"], dict[str, Float[Tensor, "g a m m"]]
    ]:
        """The tokens after a block, and each step's attention weights.

        The weights come on request only.
        """
        attentions = {}
        for step in self.config.steps:
            tokens, attention = self.attention_step(
                tokens, grid, step, output_attentions
            )
            if attention is not None:
                attentions[step] = attention
        return self.feed_forward(tokens), attentions
