import { TopKLM } from '/npm/index.js';

/** @param {{backend: 'cpu' | 'webgpu', weights: 'f32' | 'f16' | 'int8'}} options */
export async function open(models, { backend, weights }) {
  const model = await TopKLM.load(`${models}${weights}/`, { backend });
  return {
    async generate(prompt, count) {
      const ids = [];
      for await (const { id } of model.generate(prompt, { maxTokens: count, temperature: 0, ignoreEos: true })) ids.push(id);
      return ids;
    },
    close: () => model.dispose(),
  };
}
