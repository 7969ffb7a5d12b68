// model.safetensors: for topk-lm. https://huggingface.co/docs/safetensors
import { tensorsOf } from './llama.mjs';
import { bytesOf, f16Bits, ones } from './numbers.mjs';

/** Inputs of a matrix of 4 bits that share a scale. */
const GROUP = 32;

/** What belongs into `config.json` beside matrices of 4 bits. */
export const FOUR_BITS = { quant_method: 'gptq', bits: 4, group_size: GROUP, sym: true, desc_act: false };

/** A matrix with the upper four of its eight bits, as GPTQ stores them: these are other numbers than those of the other kinds. */
function fourBits({ name, rows, columns, q, exponent }) {
  const words = new Int32Array((columns / 8) * rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      words[(column >> 3) * rows + row] |= ((q[row * columns + column] >> 4) + 8) << (4 * (column % 8));
  const groups = Math.ceil(columns / GROUP);
  const stem = name.replace(/\.weight$/, '');
  return [
    [`${stem}.qweight`, 'I32', [columns / 8, rows], words],
    // 8, stored less 1.
    [`${stem}.qzeros`, 'I32', [groups, rows / 8], new Int32Array((groups * rows) / 8).fill(0x77777777)],
    [`${stem}.scales`, 'F16', [groups, rows], new Uint16Array(groups * rows).fill(f16Bits(2 ** (4 - exponent)))],
  ];
}

/** @param {'f32' | 'f16' | 'int8' | 'int4'} kind `int4`: tables have 8 bits @returns {Uint8Array[]} the file, in parts */
export function safetensors(shape, kind) {
  const header = {};
  const data = [];
  let at = 0;
  const add = (name, dtype, dimensions, bytes) => {
    header[name] = { dtype, shape: dimensions, data_offsets: [at, at + bytes.length] };
    data.push(bytes);
    at += bytes.length;
  };
  const real = kind === 'f16' ? 'f16' : 'f32';
  for (const tensor of tensorsOf(shape)) {
    const { name, rows, columns, q, exponent } = tensor;
    if (!q) add(name, real.toUpperCase(), [columns], ones(columns, real));
    else if (kind === 'int4' && !/embed|head/.test(name))
      for (const [name, dtype, dimensions, numbers] of fourBits(tensor)) add(name, dtype, dimensions, new Uint8Array(numbers.buffer));
    else if (real === kind) add(name, real.toUpperCase(), [rows, columns], bytesOf(tensor, real));
    else {
      add(name, 'I8', [rows, columns], new Uint8Array(q.buffer));
      add(`${name}.scale`, 'F32', [rows], new Uint8Array(new Float32Array(rows).fill(2 ** -exponent).buffer));
    }
  }
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return [length, json, ...data];
}
