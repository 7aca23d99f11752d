import { gradient, rowCount } from "./tensor.js";
import { tape } from "./tape.js";

/** Add the mean of the rows `from` of x to row `to` of y. Whatever moves rows
    is this function, so its backward pass is written once. */
export function addMean(y, to, x, from) {
  const d = y.shape.at(-1);
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (const row of from) sum += x.data[row * d + i];
    y.data[to * d + i] += sum / from.length;
  }
  tape?.push(() => {
    const [dx, dy] = [gradient(x), gradient(y)];
    for (const row of from)
      for (let i = 0; i < d; i++)
        dx[row * d + i] += dy[to * d + i] / from.length;
  });
}

/** Add row `from` of x to row `to` of y. */
export function addRow(y, to, x, from) {
  addMean(y, to, x, [from]);
}

/** Add x to y, row by row. */
export function addRows(y, x) {
  for (let row = 0; row < rowCount(x); row++) addRow(y, row, x, row);
}
