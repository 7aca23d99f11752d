/** A block of any scheme; the published one, divided attention, names the
    file. */
import { layerNorm, linear, mlp } from "./layers.js";
import { addMean, addRow, addRows } from "./rows.js";
import { SCHEMES, groupTokens, separateFrames } from "./schemes.js";
import { selfAttention } from "./self_attention.js";
import { tensor } from "./tensor.js";
import { isLastStep, part, stepPrefix } from "./weights.js";

/** The tokens after a step and its residual, and its attention weights by
    group and head (paper, eqs. 5 to 8 and 11; original `Block`). In the last
    step every group has a copy of the class token, which gets the mean of its
    copies' updates; in earlier steps it takes no part, and the update passes
    one more layer, `STEP_fc`. `w` is the block's part of the weights. */
export function attentionStep(tokens, w, config, grid, step) {
  const last = isLastStep(config, step), prefix = stepPrefix(config, step);
  const sequence = separateFrames(config) ? { ...grid, t: 1 } : grid;
  const patches = groupTokens(step, sequence);
  const groups = last ? patches.map((group) => [0, ...group]) : patches;
  const gathered = gather(tokens, groups);
  const eps = config.layer_norm_eps, heads = config.num_attention_heads;
  const normed = layerNorm(gathered, part(w, `${prefix}norm1`), eps);
  const attn = part(w, `${prefix}attn`);
  let [update, attention] = selfAttention(normed, attn, heads);
  if (!last) update = linear(update, part(w, `${prefix}fc`));
  return [addGroups(tokens, update, groups), attention];
}

/** The tokens of each group of each sequence: g m d. */
function gather(tokens, groups) {
  const [b, s, d] = tokens.shape, m = groups[0].length;
  const gathered = tensor([b * groups.length, m, d]);
  let row = 0;
  for (let clip = 0; clip < b; clip++)
    for (const group of groups)
      for (const token of group) addRow(gathered, row++, tokens, clip * s + token);
  return gathered;
}

/** The tokens, and to each what its group's update has for it, to class tokens
    the groups' mean. */
function addGroups(tokens, update, groups) {
  const [b, s] = tokens.shape, m = groups[0].length, sum = tensor(tokens.shape);
  addRows(sum, tokens);
  for (let clip = 0; clip < b; clip++) {
    const firsts = groups.map((_, g) => (clip * groups.length + g) * m);
    groups.forEach((group, g) =>
      group.forEach((token, member) => {
        if (token > 0) addRow(sum, clip * s + token, update, firsts[g] + member);
      }));
    if (groups[0][0] === 0) addMean(sum, clip * s, update, firsts);
  }
  return sum;
}

/** The tokens after the MLP and its residual (paper, eq. 9; original
    `Block`). */
export function feedForward(tokens, w, config) {
  const normed = layerNorm(tokens, part(w, "norm2"), config.layer_norm_eps);
  const sum = tensor(tokens.shape);
  addRows(sum, tokens);
  addRows(sum, mlp(normed, part(w, "mlp")));
  return sum;
}

/** The tokens after a block, and each step's attention weights. */
export function block(tokens, w, config, grid) {
  const attentions = {};
  for (const step of SCHEMES[config.attention_type])
    [tokens, attentions[step]] = attentionStep(tokens, w, config, grid, step);
  return [feedForward(tokens, w, config), attentions];
}
