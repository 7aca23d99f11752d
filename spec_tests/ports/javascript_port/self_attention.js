import { linear, softmax } from "./layers.js";
import { addProduct, matrix, transposed } from "./product.js";
import { gradient, tensor } from "./tensor.js";
import { tape } from "./tape.js";
import { part } from "./weights.js";

/** Let the tokens of each group attend to each other (paper, eqs. 2 to 8;
    original `Attention`).

    x: g m d, groups of m tokens. `w` holds `qkv` and `proj`. Returns the new
    tokens, and the attention weights g a m m: row i holds how much token i
    attends to each token of its group. */
export function selfAttention(x, w, heads) {
  const [groups, m, d] = x.shape, width = d / heads;
  const scale = 1 / Math.sqrt(width);
  const qkv = linear(x, part(w, "qkv"));
  const attention = tensor([groups, heads, m, m]);
  const mixed = tensor(x.shape);

  /** One head's matrices in one group: of the tensors' data, or of their
      gradients. */
  function* matricesOf(group, head, numbers) {
    const row = group * m, column = head * width, down = 3 * d;
    const first = row * down + column;
    for (const at of [first, first + d, first + 2 * d]) // q, k, v
      yield matrix(numbers(qkv), at, m, width, down);
    yield matrix(numbers(attention), (group * heads + head) * m * m, m, m);
    yield matrix(numbers(mixed), row * d + column, m, width, d);
  }

  for (let group = 0; group < groups; group++)
    for (let head = 0; head < heads; head++) {
      const [q, k, v, weights, result] = matricesOf(group, head, dataOf);
      addProduct(weights, q, transposed(k), scale);
      for (let row = 0; row < m; row++)
        softmax(weights.data, weights.at + row * m, m);
      addProduct(result, weights, v);
    }

  tape?.push(() => {
    for (let group = 0; group < groups; group++)
      for (let head = 0; head < heads; head++) {
        const [q, k, v, weights] = matricesOf(group, head, dataOf);
        const [dq, dk, dv, dWeights, dResult] =
          matricesOf(group, head, gradient);
        addProduct(dWeights, dResult, transposed(v));
        addProduct(dv, transposed(weights), dResult);
        softmaxBack(weights, dWeights);
        addProduct(dq, dWeights, k, scale);
        addProduct(dk, transposed(dWeights), q, scale);
      }
  });
  return [linear(mixed, part(w, "proj")), attention];
}

function dataOf(x) {
  return x.data;
}

/** Turn the gradient of each row of weights into that of its scores, in
    place. */
function softmaxBack({ data, at, rows, columns }, { data: d }) {
  for (let row = at; row < at + rows * columns; row += columns) {
    let mean = 0;
    for (let i = row; i < row + columns; i++) mean += data[i] * d[i];
    for (let i = row; i < row + columns; i++) d[i] = data[i] * (d[i] - mean);
  }
}
