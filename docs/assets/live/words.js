/** What the figure shows, in words. */
import { CLASS_TOKEN, MEAN, ROLLOUT, nameOf, percent } from "./attention.js";

/** The three tokens to which the chosen one attends most. */
export function attentionWords(weights, { block, step, head }, chosen, grid) {
  const most = weights.map((share, token) => ({ share, token }))
    .filter(({ share, token }) => share !== null && (step !== ROLLOUT || token !== CLASS_TOKEN))
    .sort((a, b) => b.share - a.share).slice(0, 3)
    .map(({ share, token }) => `${nameOf(token, grid)} (${percent(share, share < 0.1 ? 1 : 0)})`)
    .join("; ");
  if (step === ROLLOUT)
    return `Through all blocks, most of the class token's last state comes from ${most}.`;
  const heads = head === MEAN ? "mean of all heads" : `head ${head}`, name = nameOf(chosen, grid);
  const where = `In block ${block}, ${step} step, ${heads}`;
  if (!most) return `${where}: the ${name} takes no part.`;
  const who = chosen === CLASS_TOKEN ? "the class token, with a copy in each frame," : name;
  return `${where}: ${who} attends most to ${most}.`;
}

/** The answers as rows of a table, and in a headline. */
export function answerTable(labels, plain, changed) {
  const best = (list) => labels[list.indexOf(Math.max(...list))];
  const answers = changed ? [plain, changed] : [plain];
  const cell = (p) => `<td style="--share: ${p}">${percent(p)}</td>`;
  const rows = labels.map((label, i) =>
    `<tr><th scope="row">${label}</th>${answers.map((p) => cell(p[i])).join("")}</tr>`);
  if (changed)
    rows.unshift(`<tr><td></td><th scope="col">as filmed</th><th scope="col">changed</th></tr>`);
  const headline = answers.map(best).join(", changed: ");
  return { headline: `The camera: ${headline}`, rows: rows.join(""), best: best(answers.at(-1)) };
}
