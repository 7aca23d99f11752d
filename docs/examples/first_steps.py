"""The first two steps of training: which weights of the temporal step get a gradient."""

from __future__ import annotations

import torch

from timesformer_ref import TimeSformer, TimeSformerConfig

torch.manual_seed(0)
model = TimeSformer(
    TimeSformerConfig(
        image_size=32,
        hidden_size=64,
        num_attention_heads=4,
        num_hidden_layers=1,
        num_labels=9,
        drop_path_rate=0.0,
    )
)
video, labels = torch.randn(4, 8, 3, 32, 32), torch.tensor([0, 1, 2, 3])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in (1, 2):
    loss = model(video, labels=labels).loss
    assert loss is not None  # there are labels
    optimizer.zero_grad()
    loss.backward()
    print(f"step {step}: loss {loss:.3f}; the gradient's length")
    for name in ("temporal_fc", "temporal_attn.proj", "temporal_attn.qkv", "attn.qkv"):
        gradient = model.get_parameter(f"blocks.0.{name}.weight").grad
        assert gradient is not None
        print(f"  {name:18} {gradient.norm():.1g}")
    optimizer.step()
