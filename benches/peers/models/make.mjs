// Writes the random models, each once: what `npm run bench -- --peers` and `-- --growth` load.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot } from '../../../scripts/lib/paths.mjs';
import { step } from '../../../scripts/lib/steps.mjs';
import { gguf } from './gguf.mjs';
import { configOf } from './llama.mjs';
import { onnxLlama } from './onnx.mjs';
import { FOUR_BITS, safetensors } from './safetensors.mjs';

export const FOLDER = 'target/bench/models';
const FILES = {
  'f32/model.safetensors': (shape) => safetensors(shape, 'f32'),
  'f16/model.safetensors': (shape) => safetensors(shape, 'f16'),
  'int8/model.safetensors': (shape) => safetensors(shape, 'int8'),
  'int4/model.safetensors': (shape) => safetensors(shape, 'int4'),
  'gguf/f32.gguf': (shape) => gguf(shape, 'f32'),
  'gguf/q8_0.gguf': (shape) => gguf(shape, 'q8_0'),
  'onnx/onnx/model.onnx': onnxLlama,
};
const CONFIGS = ['f32', 'f16', 'int8', 'onnx'];

/**
 * @param {import('./llama.mjs').Shape} shape
 * @param {string[]} [names] of FILES; all of them if left out
 */
export async function makeModel(shape, names = Object.keys(FILES)) {
  const folder = `${FOLDER}/${shape.name}`;
  for (const name of names) {
    await step(
      `random model ${shape.name}/${name}`,
      { inputs: ['benches/peers/models'], outputs: [`${folder}/${name}`], facts: JSON.stringify(shape) },
      () => write(inRoot(folder, name), FILES[name](shape)),
    );
  }
  const config = (kind, more = {}) =>
    write(inRoot(folder, kind, 'config.json'), [Buffer.from(`${JSON.stringify({ ...configOf(shape), ...more }, null, 2)}\n`)]);
  for (const kind of CONFIGS) config(kind);
  config('int4', { quantization_config: FOUR_BITS });
}

/** One part after the other: the whole of a large model is never copied. */
export function write(file, parts) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const handle = fs.openSync(file, 'w');
  try {
    for (const bytes of parts) fs.writeSync(handle, bytes);
  } finally {
    fs.closeSync(handle);
  }
}
