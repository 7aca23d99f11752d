import { refuse } from "./refusal.js";
import { tensor } from "./tensor.js";

/** Three square views of frames t H W c, 3 t c crop crop: left, centre and
    right, or of upright frames top, centre and bottom (original
    `spatial_sampling`). `scale` is the shorter side's new length. */
export function crops(frames, scale, crop) {
  const [t, H, W, c] = frames.shape;
  const height = resized(H, W, scale), width = resized(W, H, scale);
  if (Math.min(height, width) < crop)
    refuse(`a crop of ${crop} does not fit in ${height} x ${width} pixels`);
  const views = tensor([3, t, c, crop, crop]);
  let at = 0;
  for (const view of [0, 1, 2]) {
    const top = corner(height - crop, height > width, view);
    const left = corner(width - crop, height <= width, view);
    for (let frame = 0; frame < t; frame++)
      for (let channel = 0; channel < c; channel++)
        for (let y = top; y < top + crop; y++)
          for (let x = left; x < left + crop; x++)
            views.data[at++] = pixelBetween(
              frames, frame, channel, between(H, height, y), between(W, width, x),
            );
  }
  return views;
}

/** A side once the shorter one is `scale`; the longer one is rounded down. */
function resized(side, other, scale) {
  const shorter = Math.min(side, other);
  return shorter === scale ? side : Math.floor((side / shorter) * scale);
}

/** Where a view begins on an axis with this much room, if the views lie along
    it. */
function corner(room, along, view) {
  return along && view !== 1 ? (view / 2) * room : Math.ceil(room / 2);
}

/** Between which two places of an axis a place of the resized axis lies, and
    how near the second: pixels are areas (PyTorch's bilinear interpolation
    without align_corners). */
function between(size, newSize, place) {
  const source = Math.max(((place + 0.5) * size) / newSize - 0.5, 0);
  const below = Math.min(Math.floor(source), size - 1);
  return { below, above: Math.min(below + 1, size - 1), share: source - below };
}

function pixelBetween(frames, frame, channel, y, x) {
  const [, H, W, c] = frames.shape;
  const place = (row, column) => ((frame * H + row) * W + column) * c + channel;
  const pixel = (row, column) => normalised(frames.data[place(row, column)]);
  const inRow = (row) => mix(pixel(row, x.below), pixel(row, x.above), x.share);
  return mix(inRow(y.below), inRow(y.above), y.share);
}

function mix(first, second, share) {
  return (1 - share) * first + share * second;
}

/** Before the resize, so that resized values are not rounded to bytes. */
function normalised(byte) {
  return (byte / 255 - 0.45) / 0.225;
}
