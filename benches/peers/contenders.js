// Who is measured, in the order of the tables. `beside`: the row of ours that a peer's ratio is to, which holds the same weights.
const nameOf = (backend, weights, threads) =>
  `topk-lm, ${backend === 'cpu' ? 'CPU' : 'WebGPU'}, ${weights}${threads > 1 ? `, ${threads} threads` : ''}`;
const ours = (backend, weights, threads = 1) => ({
  name: nameOf(backend, weights, threads),
  adapter: 'topk-lm',
  options: { backend, weights, threads },
  beside: nameOf(backend, weights, threads),
});
const wllama = (weights, threads) => ({
  name: `wllama, ${weights}, ${threads} thread${threads > 1 ? 's' : ''}`,
  adapter: 'wllama',
  options: { weights, threads },
  beside: nameOf('cpu', weights === 'f32' ? 'f32' : 'int8', threads),
});
const onnx = (adapter, backend, threads = 1) => ({
  name: `${adapter === 'onnxruntime' ? 'onnxruntime-web' : 'transformers.js'}, ${backend === 'wasm' ? `wasm, ${threads} thread${threads > 1 ? 's' : ''}` : 'WebGPU'}`,
  adapter,
  options: { backend, threads },
  beside: nameOf(backend === 'wasm' ? 'cpu' : 'webgpu', 'f32', threads),
});

export const CONTENDERS = {
  cpu: [
    ours('cpu', 'f32'),
    ours('cpu', 'f16'),
    ours('cpu', 'int8'),
    ours('cpu', 'f32', 2),
    ours('cpu', 'f16', 2),
    ours('cpu', 'int8', 2),
    wllama('f32', 1),
    wllama('f32', 2),
    wllama('q8_0', 1),
    wllama('q8_0', 2),
    onnx('onnxruntime', 'wasm', 1),
    onnx('onnxruntime', 'wasm', 2),
    onnx('transformers', 'wasm', 1),
  ],
  webgpu: [ours('webgpu', 'f32'), ours('webgpu', 'f16'), onnx('onnxruntime', 'webgpu'), onnx('transformers', 'webgpu')],
};
/** Where integers are multiplied instead of the numbers that they stand for, tokens may differ: how many agree is said. */
export const ROUNDS_INPUTS = new Set(['int8', 'q8_0']);

const tfjs = (backend, device) => ({
  name: `tfjs, ${device === 'gpu' ? 'WebGPU' : 'wasm'}`,
  adapter: 'tfjs',
  options: { backend },
  device,
});
const onnxTopK = (backend, device) => ({
  name: `onnxruntime-web, ${device === 'gpu' ? 'WebGPU' : 'wasm'}`,
  adapter: 'onnxruntime',
  options: { backend, models: '/random/topk/' },
  device,
});
/** TopK alone. */
export const TOPK_CONTENDERS = [
  { name: 'topk-lm, WebGPU', adapter: 'topk-lm', device: 'gpu' },
  { name: 'topk-lm, WebGPU, unsorted', adapter: 'topk-lm', options: { sorted: false }, device: 'gpu' },
  tfjs('webgpu', 'gpu'),
  onnxTopK('webgpu', 'gpu'),
  { name: 'a copy of the input, WebGPU', adapter: 'topk-lm', entry: 'openCopy', device: 'gpu' },
  tfjs('wasm', 'cpu'),
  onnxTopK('wasm', 'cpu'),
  { name: 'a full sort in JavaScript', adapter: 'topk-lm', entry: 'openSort', device: 'cpu' },
];
