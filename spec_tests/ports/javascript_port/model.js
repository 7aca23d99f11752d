import { classifier } from "./classifier.js";
import { block } from "./divided_attention.js";
import { patchify } from "./patchify.js";
import { refuse } from "./refusal.js";
import { timeEmbedding } from "./time_embedding.js";
import { part } from "./weights.js";

/** Classify normalised clips, b t c H W (paper, section 3; original
    `VisionTransformer`). A clip may have another number of frames or another
    frame size than the weights were trained for.

    Returns `logits`, b labels, and with `outputAttentions` also `attentions`:
    for each block, the weights of each step by name, groups heads m m. */
export function forward(video, weights, config, { outputAttentions } = {}) {
  const grid = clipGrid(video, config), attentions = [];
  const frames = patchify(video, weights, config);
  let tokens = timeEmbedding(frames, weights, config);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const w = part(weights, `blocks.${i}`);
    const [next, attention] = block(tokens, w, config, grid);
    tokens = next;
    if (outputAttentions) attentions.push(attention);
  }
  return { logits: classifier(tokens, weights, config, grid.t), attentions };
}

/** Frames, rows and columns of the patches of clips b t c H W. */
function clipGrid({ shape }, { patch_size: p, num_channels }) {
  const [, t, c, H, W] = shape;
  if (shape.length !== 5 || c !== num_channels || Math.min(H, W) < p)
    refuse(`clips of shape ${shape}, expected b t ${num_channels} H W with H and W from ${p} on`);
  return { t, h: Math.floor(H / p), w: Math.floor(W / p) };
}
