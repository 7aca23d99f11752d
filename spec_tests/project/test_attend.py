"""What a model looks at in a clip, and the frames that it is shown on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from einops import rearrange, reduce

from spec_tests.make_example import write_video
from spec_tests.project.tiny import checkpoint, clip
from timesformer_ref.attend import attend, numpy_attentions, read_shown_frames, torch_attentions
from timesformer_ref.numpy_blocks.model import forward
from timesformer_ref.preprocessing import Preprocessing
from timesformer_ref.rollout import rollout
from timesformer_ref.video import read_clip


@pytest.mark.parametrize("scheme", ["divided_space_time", "space_only"])
def test_both_implementations_look_at_the_same(scheme):
    start = checkpoint(attention_type=scheme)
    video = clip().numpy()
    output = forward(video, start.arrays(), start.config, output_attentions=True)
    for run in (torch_attentions(start, "cpu"), numpy_attentions(start)):
        look = attend(start.config, video[0], run)
        np.testing.assert_allclose(look.logits, output.logits[0], atol=1e-5)
        expected = rollout(output.attentions, start.config, (4, 4, 4))[0]
        np.testing.assert_allclose(look.patches, expected, atol=1e-6)
        assert look.frame_shares.sum() == pytest.approx(1)
        assert [list(block) for block in look.frames] == [
            [] if scheme == "space_only" else ["temporal"]
        ] * 2


@pytest.mark.parametrize(("crop", "scale"), [(24, None), (28, None), (24, 24)])
def test_frames_are_shown_as_the_model_sees_them_but_sharper(tmp_path, crop, scale):
    """In RGB whatever the model's order is, and without what lies beyond its last whole patch."""
    write_video(tmp_path / "x.mp4", frames=8)
    told = Preprocessing(4, 2, crop, scale, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    seen = read_clip(tmp_path / "x.mp4", told, num_crops=1).video[0, ..., :24, :24]
    pixels = rearrange(seen, "t c H W -> t H W c") * told.std + told.mean
    for order in ("rgb", "bgr"):
        shown = read_shown_frames(tmp_path / "x.mp4", replace(told, channel_order=order), 8)
        times = shown.shape[1] // 24
        assert times > 5
        small = reduce(shown, "t (H y) (W x) c -> t H W c", "mean", y=times, x=times)
        assert np.abs(small - pixels).mean() < 0.02  # half of a large pixel
