"""From a video to a clip by hand: which frames, which pixels, which numbers."""

from __future__ import annotations

import numpy as np

from timesformer_ref import read_clip
from timesformer_ref.input.sampling import frame_indices, segment_indices
from timesformer_ref.input.views import crops

SPEED = {"fps": 15, "num_frames": 4, "sampling_rate": 8}
print("20 frames, one clip:   ", *frame_indices(20, **SPEED))
print("20 frames, clip 0 / 2: ", *frame_indices(20, **SPEED, clip=0, num_clips=2))
print("20 frames, clip 1 / 2: ", *frame_indices(20, **SPEED, clip=1, num_clips=2))
print("10 frames, one clip:   ", *frame_indices(10, **SPEED))
print("20 frames, segments:   ", *segment_indices(20, num_frames=4))

frame = np.array([[0, 51, 102, 153], [102, 153, 204, 255]], np.uint8)
frames = frame[None, :, :, None]  # t H W c
views = crops(frames, scale=2, crop=2, mean=[0.45], std=[0.225])
print("\nframe", frame, sep="\n")
for name, view in zip(("left", "centre", "right"), views, strict=True):
    print(name, np.array_str(view[0, 0], precision=2), sep="\n")

clip = read_clip("docs/assets/example.mp4")
print("\nexample.mp4", clip.video.shape, clip.video.dtype)
print("its frames ", *clip.frames[0])
