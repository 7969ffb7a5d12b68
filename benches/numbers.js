// What TopK is measured on.

/** [rows, n, k] */
export const SHAPES = [
  [1, 1024, 32],
  [1, 4096, 64],
  [128, 1024, 32],
  [128, 1024, 128],
  [128, 4096, 64],
  [512, 2048, 32],
  [1, 32000, 40],
  [1, 128000, 50],
];

/** The same numbers on every device: a linear congruential generator. */
export function numbers(count) {
  const values = new Float32Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = (state >>> 8) / 2 ** 23 - 1;
  }
  return values;
}

/** The k first of each row by sorting whole rows, in plain JavaScript: what the results are checked against, and a peer. */
export function bySorting(values, rows, n, k) {
  const result = new Uint32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const part = values.subarray(row * n, (row + 1) * n);
    const order = Uint32Array.from(part.keys()).sort((a, b) => part[b] - part[a] || a - b);
    result.set(order.subarray(0, k), row * k);
  }
  return result;
}
