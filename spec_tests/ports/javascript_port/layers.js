/** The few layers that every block is made of, each with its backward pass.
    JavaScript's numbers are float64, so sums are, and what is stored in a
    tensor is rounded to float32. */
import { addProduct, matrix, transposed } from "./product.js";
import { addRow } from "./rows.js";
import { gradient, rowCount, tensor } from "./tensor.js";
import { tape } from "./tape.js";
import { part } from "./weights.js";

/** Multiply each row by `weight` (o i) transposed, and add `bias` (o), where
    there is one. */
export function linear(x, { weight, bias }) {
  const rows = rowCount(x), inputs = x.shape.at(-1), outputs = weight.shape[0];
  const y = tensor([...x.shape.slice(0, -1), outputs]);
  if (bias) for (let row = 0; row < rows; row++) addRow(y, row, bias, 0);
  const of = (data) => matrix(data, 0, rows, inputs);
  const to = (data) => matrix(data, 0, rows, outputs);
  const by = (data) => matrix(data, 0, outputs, inputs);
  addProduct(to(y.data), of(x.data), transposed(by(weight.data)));
  tape?.push(() => {
    const dy = to(gradient(y));
    addProduct(of(gradient(x)), dy, by(weight.data));
    addProduct(by(gradient(weight)), transposed(dy), of(x.data));
  });
  return y;
}

/** Normalise each row to mean 0 and (biased) variance 1, then scale and shift
    it. */
export function layerNorm(x, { weight, bias }, eps) {
  const d = x.shape.at(-1), y = tensor(x.shape);
  for (let at = 0; at < x.data.length; at += d) {
    const [mean, deviation] = statistics(x.data, at, d, eps);
    for (let i = 0; i < d; i++) {
      const normed = (x.data[at + i] - mean) / deviation;
      y.data[at + i] = normed * weight.data[i] + bias.data[i];
    }
  }
  tape?.push(() => layerNormBack(x, weight, bias, eps, y));
  return y;
}

function layerNormBack(x, weight, bias, eps, y) {
  const d = x.shape.at(-1);
  const [dx, dy, dWeight, dBias] = [x, y, weight, bias].map(gradient);
  for (let at = 0; at < x.data.length; at += d) {
    const [mean, deviation] = statistics(x.data, at, d, eps);
    let shared = 0, along = 0; // what the mean and the deviation take away
    for (let i = 0; i < d; i++) {
      const normed = (x.data[at + i] - mean) / deviation;
      dWeight[i] += dy[at + i] * normed;
      dBias[i] += dy[at + i];
      shared += (dy[at + i] * weight.data[i]) / d;
      along += (dy[at + i] * weight.data[i] * normed) / d;
    }
    for (let i = 0; i < d; i++) {
      const normed = (x.data[at + i] - mean) / deviation;
      dx[at + i] += (dy[at + i] * weight.data[i] - shared - along * normed) / deviation;
    }
  }
}

/** The mean of d numbers, and the root of their biased variance and eps. */
function statistics(x, at, d, eps) {
  let mean = 0, variance = 0;
  for (let i = at; i < at + d; i++) mean += x[i] / d;
  for (let i = at; i < at + d; i++) variance += (x[i] - mean) ** 2 / d;
  return [mean, Math.sqrt(variance + eps)];
}

/** The exact GELU: x times the normal distribution function at x. */
export function gelu(x) {
  const y = tensor(x.shape);
  for (let i = 0; i < x.data.length; i++) y.data[i] = x.data[i] * cumulative(x.data[i]);
  tape?.push(() => {
    const [dx, dy] = [gradient(x), gradient(y)];
    for (let i = 0; i < x.data.length; i++) {
      const number = x.data[i], density = Math.exp(-(number ** 2) / 2) / Math.sqrt(2 * Math.PI);
      dx[i] += dy[i] * (cumulative(number) + number * density);
    }
  });
  return y;
}

function cumulative(x) {
  return (1 + erf(x / Math.SQRT2)) / 2;
}

/** A series whose terms have one sign, so that no digits cancel (Abramowitz
    and Stegun, 7.1.6). */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** exp(x) / sum exp(x) of n numbers, in place; less the maximum, so that
    nothing overflows. Returns the logarithm of the sum. */
export function softmax(x, at, n) {
  let largest = -Infinity, sum = 0;
  for (let i = at; i < at + n; i++) largest = Math.max(largest, x[i]);
  for (let i = at; i < at + n; i++) sum += Math.exp(x[i] - largest);
  for (let i = at; i < at + n; i++) x[i] = Math.exp(x[i] - largest) / sum;
  return largest + Math.log(sum);
}

/** Two linear layers with a GELU between them (original `Mlp`). `w` holds
    `fc1` and `fc2`. */
export function mlp(x, w) {
  return linear(gelu(linear(x, part(w, "fc1"))), part(w, "fc2"));
}

/** The source of each of newSize places that `size` places are resized to. The
    original computes in float32, and its rounding is part of the model: 26
    places resized to 22 take 12, not 13, for place 11. */
export function nearest(size, newSize) {
  const ratio = Math.fround(size / newSize);
  return Array.from({ length: newSize }, (_, place) =>
    Math.min(Math.floor(Math.fround(place * ratio)), size - 1));
}
