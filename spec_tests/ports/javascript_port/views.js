import { refuse } from "./refusal.js";
import { tensor } from "./tensor.js";

/** The published checkpoints' mean and deviation of each channel. */
const MEAN = [0.45, 0.45, 0.45], STD = [0.225, 0.225, 0.225];

/** Square views of frames t H W c, views t c crop crop: three are left, centre
    and right, or of upright frames top, centre and bottom; one is the centre
    (original `spatial_sampling`). `scale` is the shorter side's new length.
    With `antialias` the resize averages over all pixels that a smaller one
    covers. */
export function crops(frames, scale, crop, settings = {}) {
  const { num_crops = 3, mean = MEAN, std = STD, antialias = false } = settings;
  const [t, H, W, c] = frames.shape;
  const height = resized(H, W, scale), width = resized(W, H, scale);
  if (Math.min(height, width) < crop)
    refuse(`a crop of ${crop} does not fit in ${height} x ${width} pixels`);
  if (c !== mean.length || c !== std.length)
    refuse(`${c} channels, but a mean of ${mean.length} and a std of ${std.length} numbers`);
  const views = tensor([num_crops, t, c, crop, crop]);
  let at = 0;
  for (const view of num_crops === 1 ? [1] : [0, 1, 2]) {
    const top = corner(height - crop, height > width, view);
    const left = corner(width - crop, height <= width, view);
    const rows = sources(H, height, top, crop, antialias);
    const columns = sources(W, width, left, crop, antialias);
    for (let frame = 0; frame < t; frame++)
      for (let channel = 0; channel < c; channel++) {
        const pixels = { data: frames.data, at: frame * H * W * c + channel, W, c };
        const plane = resize(pixels, rows, columns);
        for (const number of plane) views.data[at++] = (number / 255 - mean[channel]) / std[channel];
      }
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

/** For each of `count` places of a resized axis, from `start` on: the first
    source place, and the shares of it and of those that follow it. Pixels are
    areas (PyTorch's bilinear interpolation without align_corners). */
function sources(size, newSize, start, count, antialias) {
  const ratio = size / newSize, reach = antialias ? Math.max(ratio, 1) : 1;
  return Array.from({ length: count }, (_, i) => {
    const exact = (start + i + 0.5) * ratio - 0.5;
    const centre = antialias ? exact : Math.max(0, Math.min(exact, size - 1));
    const first = Math.max(Math.ceil(centre - reach), 0);
    const last = Math.min(Math.floor(centre + reach), size - 1);
    const shares = Array.from({ length: last - first + 1 }, (_, k) =>
      Math.max(1 - Math.abs(first + k - centre) / reach, 0));
    const sum = shares.reduce((a, b) => a + b);
    return { first, shares: shares.map((share) => share / sum) };
  });
}

/** One channel of a frame at the sources' rows and columns: first the columns
    of the rows that are needed, then the rows. A resize is a mean, so it may
    come before the normalisation, as long as nothing is rounded between. */
function resize({ data, at, W, c }, rows, columns) {
  const narrow = new Map();
  const row = (y) => {
    if (!narrow.has(y))
      narrow.set(y, columns.map(({ first, shares }) =>
        shares.reduce((sum, share, k) => sum + share * data[at + (y * W + first + k) * c], 0)));
    return narrow.get(y);
  };
  return rows.flatMap(({ first, shares }) =>
    columns.map((_, x) => shares.reduce((sum, share, k) => sum + share * row(first + k)[x], 0)));
}
