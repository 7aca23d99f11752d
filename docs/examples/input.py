"""Which frames and squares are taken of a video of 18 seconds with 25 frames per second."""

from __future__ import annotations

import numpy as np

from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.sampling import frame_indices, segment_indices, windows
from timesformer_ref.input.views import crops

VIDEO, KINETICS = (450, 25), {"num_frames": 8, "sampling_rate": 32}
print("one clip       ", *frame_indices(*VIDEO, **KINETICS))
for clip in range(3):
    print(f"clip {clip} of 3    ", *frame_indices(*VIDEO, **KINETICS, clip=clip, num_clips=3))
print("segments       ", *segment_indices(VIDEO[0], 8))
for (start, end), frames in zip(*windows(*VIDEO, **KINETICS), strict=True):
    print(f"{start:4.1f} to {end:4.1f} s ", *frames)

preprocessing = Preprocessing()
frame = np.zeros((1, 360, 640, 3), np.uint8)
for count in (3, 1):
    views = crops(frame, preprocessing.scale(count), preprocessing.crop, num_crops=count)
    print(f"--crops {count}: shorter side to {preprocessing.scale(count)}: views {views.shape}")
