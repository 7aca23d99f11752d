"""How far off one answer may be, in each arithmetic: the suite's own bound."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from spec_tests.harness.arithmetic import ARITHMETICS
from spec_tests.harness.cases import Case
from spec_tests.harness.judging import ROUNDINGS, Question
from spec_tests.harness.porting import Port
from timesformer_ref import TimeSformerConfig

CONFIG = TimeSformerConfig(
    image_size=4, patch_size=2, num_channels=1, num_frames=2, hidden_size=8,
    num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3,
)  # fmt: skip

print(f"{'arithmetic':10} {'one rounding':>14} {'error made':>14} {'bound':>14}")
for name in ARITHMETICS:
    port = Port(SimpleNamespace(forward=print, DTYPE=name), name)
    question = Question(port, Case(CONFIG, (1, 2, 1, 4, 4), dtype=name), "forward")
    bound = question.allowed[""] / np.abs(question.expected[""]).max()
    print(f"{name:10} {port.arithmetic.unit:14.1e} {bound / ROUNDINGS:14.1e} {bound:14.1e}")
