import { linear, nearest } from "./layers.js";
import { addRow } from "./rows.js";
import { tensor } from "./tensor.js";
import { part } from "./weights.js";

/** The pixels of each patch, b t n (c p p), the patches row by row. Pixels
    beyond the last whole patch are dropped. */
function patchPixels(video, { patch_size: p }) {
  const [b, t, c, H, W] = video.shape, h = Math.floor(H / p), w = Math.floor(W / p);
  const pixels = tensor([b, t, h * w, c * p * p]);
  let to = 0;
  for (let frame = 0; frame < b * t; frame++)
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++)
        for (let channel = 0; channel < c; channel++)
          for (let row = 0; row < p; row++, to += p) {
            const from = ((frame * c + channel) * H + y * p + row) * W + x * p;
            pixels.data.set(video.data.subarray(from, from + p), to);
          }
  return pixels;
}

/** Which places of a table the class token and h x w patches take. A table for
    another number of patches is resized, nearest in both directions. Only the
    count is compared: 2 x 8 patches use a 4 x 4 table as it is (original
    `forward_features`). */
function positions(places, h, w) {
  if (places === 1 + h * w) return Array.from({ length: places }, (_, place) => place);
  const side = Math.sqrt(places - 1), columns = nearest(side, w);
  const grid = nearest(side, h).flatMap((row) => columns.map((column) => 1 + side * row + column));
  return [0, ...grid];
}

/** Every frame as a sequence, b t (1 + n) d: class token, then patches row by
    row, positions added (paper, eq. 1). */
export function patchify(video, weights, config) {
  const patches = linear(patchPixels(video, config), part(weights, "patch_embed.proj"));
  const [b, t, n, d] = patches.shape, tokens = tensor([b, t, 1 + n, d]);
  const [h, w] = video.shape.slice(-2).map((size) => Math.floor(size / config.patch_size));
  const places = positions(weights.pos_embed.shape[1], h, w);
  for (let frame = 0; frame < b * t; frame++) {
    const first = frame * (1 + n);
    addRow(tokens, first, weights.cls_token, 0);
    for (let i = 0; i < n; i++) addRow(tokens, first + 1 + i, patches, frame * n + i);
    for (let i = 0; i <= n; i++) addRow(tokens, first + i, weights.pos_embed, places[i]);
  }
  return tokens;
}
