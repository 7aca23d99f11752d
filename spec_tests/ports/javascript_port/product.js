/** A matrix is a view of an array: where it begins, and how far apart its rows
    and columns are. */
export function matrix(data, at, rows, columns, down = columns, across = 1) {
  return { data, at, rows, columns, down, across };
}

export function transposed(m) {
  return matrix(m.data, m.at, m.columns, m.rows, m.across, m.down);
}

/** Add scale * a b to c, 2 rows and 4 columns at a time, so that a number that
    was read is used several times. At the edges the last row or column stands
    in for those that are not there. */
export function addProduct(c, a, b, scale = 1) {
  for (let column = 0; column < c.columns; column += 4)
    for (let row = 0; row < c.rows; row += 2) addTile(c, a, b, scale, row, column);
}

function addTile(c, a, b, scale, row, column) {
  const x = a.data, y = b.data, inner = a.columns;
  const nextRow = row + 1 < c.rows ? a.down : 0;
  let i = a.at + row * a.down;
  let j0 = b.at + column * b.across;
  let j1 = j0 + (column + 1 < c.columns ? b.across : 0);
  let j2 = j1 + (column + 2 < c.columns ? b.across : 0);
  let j3 = j2 + (column + 3 < c.columns ? b.across : 0);
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  for (let k = 0; k < inner; k++) {
    const x0 = x[i], x1 = x[i + nextRow];
    const y0 = y[j0], y1 = y[j1], y2 = y[j2], y3 = y[j3];
    s00 += x0 * y0, s01 += x0 * y1, s02 += x0 * y2, s03 += x0 * y3;
    s10 += x1 * y0, s11 += x1 * y1, s12 += x1 * y2, s13 += x1 * y3;
    i += a.across;
    j0 += b.down, j1 += b.down, j2 += b.down, j3 += b.down;
  }
  addSums(c, scale, row, column, s00, s01, s02, s03);
  if (row + 1 < c.rows) addSums(c, scale, row + 1, column, s10, s11, s12, s13);
}

function addSums(c, scale, row, column, s0, s1, s2, s3) {
  const at = c.at + row * c.down + column * c.across, there = c.columns - column;
  c.data[at] += scale * s0;
  if (there > 1) c.data[at + c.across] += scale * s1;
  if (there > 2) c.data[at + 2 * c.across] += scale * s2;
  if (there > 3) c.data[at + 3 * c.across] += scale * s3;
}
