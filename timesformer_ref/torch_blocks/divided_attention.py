"""A block of any scheme (the published one names the file): attention steps, then an MLP."""

from __future__ import annotations

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor, nn

from timesformer_ref.config import TimeSformerConfig
from timesformer_ref.schemes import STEPS, Grid, step_prefix
from timesformer_ref.torch_blocks.layers import Mlp, SelfAttention, StochasticDepth


class Block(nn.Module):
    """The attention steps of the scheme, then the MLP, each with its own norm and residual.

    drop_path: the probability of stochastic depth in this block.
    """

    norm1: nn.LayerNorm
    attn: SelfAttention

    def __init__(self, config: TimeSformerConfig, drop_path: float) -> None:
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
        self.mlp = Mlp(d, config.intermediate_size, config.hidden_dropout_prob)
        self.drop_path = StochasticDepth(drop_path)

    def earlier_step(
        self, tokens: Float[Tensor, "b s d"], grid: Grid, step: str, output_attentions: bool
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """A step that is not its scheme's last: patches look at their group, the class token waits.

        The result passes one more linear layer, `STEP_fc`, before it is added (paper, eq. 11, but
        without the class token and with that layer; original `Block`).
        """
        norm, attend, fc = (getattr(self, f"{step}_{name}") for name in ("norm1", "attn", "fc"))
        rule, lengths = STEPS[step], STEPS[step].lengths(tokens.shape[0], grid)
        class_token, patches = tokens[:, :1], tokens[:, 1:]
        groups = rearrange(patches, rule.group, **lengths)
        update, attention = attend(norm(groups), output_attentions)
        update = rearrange(fc(self.drop_path(update)), rule.ungroup, **lengths)
        return torch.cat([class_token, patches + update], dim=1), attention

    def last_step(
        self, tokens: Float[Tensor, "b s d"], grid: Grid, step: str, output_attentions: bool
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """The scheme's last step: every group gets a copy of the class token, in its first place.

        What the copies have learnt is averaged over the groups (paper, eq. 6 where the step is
        spatial; original `Block`).
        """
        rule, lengths = STEPS[step], STEPS[step].lengths(tokens.shape[0], grid)
        groups = with_class_tokens(tokens, grid, step)
        update, attention = self.attn(self.norm1(groups), output_attentions)
        update = self.drop_path(update)
        class_update = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", b=tokens.shape[0])
        patch_update = rearrange(update[:, 1:], rule.ungroup, **lengths)
        return tokens + torch.cat([class_update, patch_update], dim=1), attention

    def last_step_of_class_token(
        self, tokens: Float[Tensor, "b s d"], grid: Grid, step: str
    ) -> Float[Tensor, "b 1 d"]:
        """The class token after the last step, without what the patches would become."""
        groups = with_class_tokens(tokens, grid, step)
        update = self.drop_path(self.attn.first_tokens(self.norm1(groups)))
        return tokens[:, :1] + reduce(update, "(b g) 1 d -> b 1 d", "mean", b=tokens.shape[0])

    def attention_step(
        self, tokens: Float[Tensor, "b s d"], grid: Grid, step: str, output_attentions: bool = False
    ) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "g a m m"] | None]:
        """The tokens after one step and its residual, and on request its attention weights.

        tokens: class token first, then the patches with time fastest. `grid` is the clip's frames,
        rows and columns (einops finds the frames from the tokens, so they are not asked), `step` a
        name from the step table.
        """
        run = self.last_step if step == self.config.steps[-1] else self.earlier_step
        return run(tokens, grid, step, output_attentions)

    def feed_forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        """The tokens after the MLP and its residual (paper, eq. 9; original `Block`)."""
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        grid: Grid,
        output_attentions: bool = False,
        class_token_only: bool = False,
    ) -> tuple[Float[Tensor, "b s2 d"], dict[str, Float[Tensor, "g a m m"]]]:
        """The tokens after a whole block, and on request the attention weights of each step.

        class_token_only: return the class token alone, and compute only what it needs; after the
            last block nobody asks for the patches.
        """
        attentions = {}
        spare_patches = class_token_only and not output_attentions
        for step in self.config.steps[:-1] if spare_patches else self.config.steps:
            tokens, attention = self.attention_step(tokens, grid, step, output_attentions)
            if attention is not None:
                attentions[step] = attention
        if spare_patches:
            tokens = self.last_step_of_class_token(tokens, grid, self.config.steps[-1])
        return self.feed_forward(tokens[:, :1] if class_token_only else tokens), attentions


def with_class_tokens(
    tokens: Float[Tensor, "b s d"], grid: Grid, step: str
) -> Float[Tensor, "g m d"]:
    """The groups of the last step, each with a copy of the class token in its first place."""
    groups = rearrange(
        tokens[:, 1:], STEPS[step].group, **STEPS[step].lengths(tokens.shape[0], grid)
    )
    copies = repeat(tokens[:, :1], "b 1 d -> (b g) 1 d", g=groups.shape[0] // tokens.shape[0])
    return torch.cat([copies, groups], dim=1)
