// transformers.js, from a folder of this server instead of a hub; page.html has the import map that its own onnxruntime-web needs.
const PACKAGE = '/peers/@huggingface/transformers/';

/** @param {{backend: 'wasm' | 'webgpu'}} options */
export async function open(models, { backend }) {
  const { AutoModelForCausalLM, env, Tensor } = await import(`${PACKAGE}dist/transformers.web.js`);
  env.allowLocalModels = true;
  env.allowRemoteModels = false;
  env.localModelPath = new URL(models, location.href).pathname;
  env.backends.onnx.wasm.wasmPaths = `${PACKAGE}node_modules/onnxruntime-web/dist/`;
  env.backends.onnx.wasm.numThreads = 1;
  const model = await AutoModelForCausalLM.from_pretrained('onnx', { dtype: 'fp32', device: backend });
  const int64 = (numbers) => new Tensor('int64', BigInt64Array.from(numbers, BigInt), [1, numbers.length]);
  return {
    async generate(prompt, count) {
      const options = { max_new_tokens: count, do_sample: false };
      const all = await model.generate({ inputs: int64(prompt), attention_mask: int64(prompt.map(() => 1)), ...options });
      return Array.from(all.data, Number).slice(prompt.length);
    },
    close: () => model.dispose(),
  };
}
