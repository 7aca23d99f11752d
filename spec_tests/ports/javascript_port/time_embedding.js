import { nearest } from "./layers.js";
import { addRow } from "./rows.js";
import { separateFrames } from "./schemes.js";
import { tensor } from "./tensor.js";

/** The tokens that enter block 0: frames joined, time added (paper, eq. 1).
    From b t (1 + n) d to b (1 + n t) d, time fastest; the class token, the
    same in every frame, gets no time. A table for another number of frames is
    resized, nearest. Where no step attends across frames, each frame stays a
    clip of its own: (b t) (1 + n) d. */
export function timeEmbedding(frames, weights, config) {
  const [b, t, s, d] = frames.shape, n = s - 1;
  if (separateFrames(config)) {
    const tokens = tensor([b * t, s, d]);
    for (let row = 0; row < b * t * s; row++) addRow(tokens, row, frames, row);
    return tokens;
  }
  const tokens = tensor([b, 1 + n * t, d]);
  const times = nearest(weights.time_embed.shape[1], t);
  for (let clip = 0; clip < b; clip++) {
    const first = clip * (1 + n * t);
    addRow(tokens, first, frames, clip * t * s);
    for (let patch = 0; patch < n; patch++)
      for (let frame = 0; frame < t; frame++) {
        const token = first + 1 + patch * t + frame;
        addRow(tokens, token, frames, (clip * t + frame) * s + 1 + patch);
        addRow(tokens, token, weights.time_embed, times[frame]);
      }
  }
  return tokens;
}
