// model.safetensors: for topk-lm. https://huggingface.co/docs/safetensors
import { tensorsOf } from './llama.mjs';
import { bytesOf, ones } from './numbers.mjs';

/** @param {'f32' | 'f16' | 'int8'} kind @returns {Uint8Array[]} the file, in parts */
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
    else if (kind !== 'int8') add(name, real.toUpperCase(), [rows, columns], bytesOf(tensor, real));
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
