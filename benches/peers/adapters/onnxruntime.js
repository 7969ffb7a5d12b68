// onnxruntime-web with a greedy loop of its own; keys and values stay where they were computed.
const DIST = '/peers/onnxruntime-web/dist/';
const FILES = { wasm: 'ort.wasm.min.mjs', webgpu: 'ort.webgpu.min.mjs' };

/** The library, an instance of its own for each number of threads. */
export async function runtime(backend, threads = 1) {
  const ort = await import(`${DIST}${FILES[backend]}?threads=${threads}`);
  ort.env.wasm.wasmPaths = DIST;
  ort.env.wasm.numThreads = threads;
  return ort;
}

/** @param {{backend: 'wasm' | 'webgpu', threads?: number}} options */
export async function open(models, { backend, threads = 1 }) {
  const ort = await runtime(backend, threads);
  const onGpu = backend === 'webgpu';
  const { num_hidden_layers: layers, num_attention_heads: heads, head_dim } = await (await fetch(`${models}onnx/config.json`)).json();
  const caches = Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
  const session = await ort.InferenceSession.create(`${models}onnx/onnx/model.onnx`, {
    executionProviders: [backend],
    logSeverityLevel: 3,
    preferredOutputLocation: Object.fromEntries([
      ['logits', 'cpu'],
      ...caches.map((name) => [`present.${name}`, onGpu ? 'gpu-buffer' : 'cpu']),
    ]),
  });
  const int64 = (numbers) => new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), [1, numbers.length]);
  return {
    async generate(prompt, count) {
      let past = caches.map(() => new ort.Tensor('float32', new Float32Array(0), [1, heads, 0, head_dim]));
      let input = prompt;
      const ids = [];
      while (ids.length < count) {
        const feeds = { input_ids: int64(input), attention_mask: int64(Array(prompt.length + ids.length).fill(1)) };
        caches.forEach((name, i) => {
          feeds[`past_key_values.${name}`] = past[i];
        });
        const found = await session.run(feeds);
        for (const tensor of past) tensor.dispose();
        past = caches.map((name) => found[`present.${name}`]);
        const id = largest(found.logits.data);
        ids.push(id);
        input = [id];
      }
      for (const tensor of past) tensor.dispose();
      return ids;
    },
    close: () => session.release(),
  };
}

function largest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
