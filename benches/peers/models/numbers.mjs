// Matrices of llama.mjs as the bytes of a number type: by a table of the 256 values that an entry can have.

/** An f16's bits; the value must be one exactly. */
export function f16Bits(value) {
  if (value === 0) return 0;
  const sign = value < 0 ? 0x8000 : 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const unit = 2 ** (Math.max(exponent, -14) - 10);
  const mantissa = Math.abs(value) / unit;
  if (exponent > 15 || !Number.isInteger(mantissa)) throw new RangeError(`${value} is no f16.`);
  // Below 2^-14 numbers have no leading one.
  return sign | (exponent < -14 ? mantissa : ((exponent + 15) << 10) | (mantissa - 1024));
}

const KINDS = {
  f32: { of: (value) => value, array: Float32Array },
  f16: { of: f16Bits, array: Uint16Array },
};

/**
 * @param {{q: Int8Array, exponent: number}} matrix
 * @param {'f32' | 'f16'} kind
 */
export function bytesOf({ q, exponent }, kind) {
  const { of, array } = KINDS[kind];
  const table = array.from({ length: 256 }, (_, byte) => of(((byte << 24) >> 24) * 2 ** -exponent));
  const numbers = new array(q.length);
  for (let i = 0; i < q.length; i++) numbers[i] = table[q[i] & 255];
  return new Uint8Array(numbers.buffer);
}

export const ones = (count, kind) => {
  const { of, array } = KINDS[kind];
  return new Uint8Array(new array(count).fill(of(1)).buffer);
};

/** The transposed matrix. */
export function transposed({ rows, columns, q, ...rest }) {
  const turned = new Int8Array(q.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[column * rows + row] = q[row * columns + column];
  return { ...rest, rows: columns, columns: rows, q: turned };
}
