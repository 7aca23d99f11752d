/** A tensor: a shape, and its numbers with the last axis fastest. */
export function tensor(shape, data = new Float32Array(count(shape))) {
  return { shape, data };
}

/** How many numbers a tensor of this shape holds. */
export function count(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

/** A row is one step of all axes but the last: of tokens, one token. */
export function rowCount(x) {
  return count(x.shape.slice(0, -1));
}

/** The gradient of the loss by each number of x, zero until a backward pass
    adds to it. */
export function gradient(x) {
  x.gradient ??= new Float64Array(x.data.length);
  return x.gradient;
}
