import { TopKLM } from '/npm/index.js';

/** @param {{backend: 'cpu' | 'webgpu', weights: 'f32' | 'f16' | 'int8', threads: number}} options */
export async function open(models, { backend, weights, threads }) {
  const model = await TopKLM.load(`${models}${weights}/`, { backend, threads });
  return {
    async generate(prompt, count) {
      const ids = [];
      for await (const { id } of model.generate(prompt, { maxTokens: count, temperature: 0, ignoreEos: true })) ids.push(id);
      return ids;
    },
    close: () => model.dispose(),
  };
}
