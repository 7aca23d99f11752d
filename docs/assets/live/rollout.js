/** Attention rollout, as in timesformer_ref/use/rollout.py: each token's share
    in the class token's last state, from the last step back to the first. Half
    of a token's next state is its own, half what it attends to, the mean over
    heads; copies of the class token have equal parts. */
import { SCHEMES, groupTokens } from "../port/schemes.js";
import { isLastStep } from "../port/weights.js";

/** The shares of class token and patches, place by place and time fastest.
    attentions: for each block, the weights of each step by name. */
export function rollout(attentions, config, grid) {
  let shares = new Float64Array(1 + grid.t * grid.h * grid.w);
  shares[0] = 1;
  for (const block of [...attentions].reverse())
    for (const step of [...SCHEMES[config.attention_type]].reverse())
      shares = before(shares, block[step], groupTokens(step, grid), isLastStep(config, step));
  return shares;
}

/** The shares of the tokens before a step, given those after it. */
function before(shares, { shape: [, heads, m], data }, groups, last) {
  const passed = new Float64Array(shares.length);
  groups.forEach((patches, group) => {
    const tokens = last ? [0, ...patches] : patches;
    for (let head = 0; head < heads; head++)
      tokens.forEach((from, i) => {
        const share = shares[from] / heads / (from === 0 ? groups.length : 1);
        const row = ((group * heads + head) * m + i) * m;
        tokens.forEach((to, j) => (passed[to] += share * data[row + j]));
      });
  });
  const mixed = shares.map((share, token) => (share + passed[token]) / 2);
  if (!last) mixed[0] = shares[0]; // it takes no part
  return mixed;
}
