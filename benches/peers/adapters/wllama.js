// llama.cpp in wasm. It takes text alone: a character for each token (models/gguf.mjs).
import { characterOf, idOf } from '../models/characters.mjs';

const PACKAGE = '/peers/@wllama/wllama/esm/';

/** @param {{threads: number, weights: 'f32' | 'q8_0', context: number}} options */
export async function open(models, { threads, weights, context = 1024 }) {
  const { Wllama } = await import(`${PACKAGE}index.js`);
  const engine = new Wllama({ default: `${PACKAGE}wasm/wllama.wasm` }, { suppressNativeLog: true });
  await engine.loadModelFromUrl(new URL(`${models}gguf/${weights}.gguf`, location.href).href, {
    n_threads: threads,
    n_gpu_layers: 0,
    n_ctx: context,
    n_parallel: 1,
  });
  return {
    async generate(prompt, count) {
      const text = prompt.map(characterOf).join('');
      const { choices } = await engine.createCompletion({ prompt: text, max_tokens: count, temperature: 0, top_k: 1, cache_prompt: false });
      return Array.from(choices[0].text, idOf);
    },
    close: () => engine.exit(),
  };
}
