/** What a token attends to, from the model's answer. Token 0 is the class
    token; patches follow place by place, time fastest. */

export const CLASS_TOKEN = 0, ROLLOUT = "rollout", MEAN = "mean";

/** How much of the chosen token's attention each token gets, and null where
    it gets none. shown: { block, step, head }, or { step: "rollout" }. */
export function weightsOf(answer, about, shown, chosen) {
  if (shown.step === ROLLOUT) return [...answer.rollout];
  const found = Array(answer.rollout.length).fill(null);
  const last = shown.step === about.steps.at(-1), groups = about.groups[shown.step];
  const attention = answer.attentions[shown.block][shown.step];
  groups.forEach((patches, group) => {
    const tokens = last ? [CLASS_TOKEN, ...patches] : patches, row = tokens.indexOf(chosen);
    if (row < 0) return;
    const copies = chosen === CLASS_TOKEN ? groups.length : 1;
    tokens.forEach((token, column) => {
      const weight = weightAt(attention, group, shown.head, row, column);
      found[token] = token === CLASS_TOKEN ? found[token] + weight / copies : weight;
    });
  });
  return found;
}

/** One weight of a head, or its mean over heads. */
function weightAt({ shape: [, heads, m], data }, group, head, row, column) {
  const of = (a) => data[((group * heads + a) * m + row) * m + column];
  if (head !== MEAN) return of(head);
  let sum = 0;
  for (let a = 0; a < heads; a++) sum += of(a);
  return sum / heads;
}

/** A patch's frame, row and column, from 0. */
export function placeOf(token, { t, w }) {
  const patch = Math.floor((token - 1) / t);
  return { frame: (token - 1) % t, row: Math.floor(patch / w), column: patch % w };
}

export function tokenAt({ frame, row, column }, { t, w }) {
  return 1 + (row * w + column) * t + frame;
}

export function nameOf(token, grid) {
  if (token === CLASS_TOKEN) return "class token";
  const { frame, row, column } = placeOf(token, grid);
  return `frame ${frame}, row ${row}, column ${column}`;
}

export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)} %`;
}
