// model.onnx: for onnxruntime-web and transformers.js. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
// The graph is what exporters write for onnxruntime: its fused operators for attention with rotation and cache, and for norms with residual.
import { EPSILON, tensorsOf, THETA } from './llama.mjs';
import { bytesOf, ones, transposed } from './numbers.mjs';

const FUSED = 'com.microsoft';
/** Numbers of element types, and of attribute types. */
const [FLOAT, INT32, INT64] = [1, 6, 7];
const ATTRIBUTE = { float: 1, int: 2 };

/** A Llama model. @returns {Uint8Array[]} the file, in parts */
export function onnxLlama(shape) {
  const { d, layers, heads, vocab, context } = shape;
  const [nodes, weights] = [[], []];
  const node = (type, inputs, outputs, attributes = {}, domain = '') => {
    nodes.push({ type, inputs, outputs, attributes, domain });
    return outputs[0];
  };
  for (const tensor of tensorsOf(shape)) {
    const { name, columns, q } = tensor;
    if (!q) weights.push({ name, type: FLOAT, dimensions: [columns], bytes: ones(columns, 'f32') });
    else {
      // The embedding is looked up by rows; what multiplies is [in, out].
      const matrix = name.includes('embed') ? tensor : transposed(tensor);
      weights.push({ name, type: FLOAT, dimensions: [matrix.rows, matrix.columns], bytes: bytesOf(matrix, 'f32') });
    }
  }
  const constant = (name, type, dimensions, array) => {
    weights.push({ name, type, dimensions, bytes: new Uint8Array(array.buffer) });
    return name;
  };
  const half = d / heads / 2;
  const angles = Array.from({ length: context * half }, (_, i) => Math.floor(i / half) / THETA ** ((i % half) / half));
  const cos = constant('cos', FLOAT, [context, half], Float32Array.from(angles, Math.cos));
  const sin = constant('sin', FLOAT, [context, half], Float32Array.from(angles, Math.sin));
  const one = constant('one', INT64, [1], BigInt64Array.of(1n));
  const last = constant('last', INT64, [1], BigInt64Array.of(-1n));

  // How many positions there are, and which is the last: from the mask, as GroupQueryAttention wants them.
  const sum = node('ReduceSum', ['attention_mask', one], ['mask_sum'], { keepdims: 0 });
  node('Sub', [sum, one], ['mask_last']);
  const lastPosition = node('Cast', ['mask_last'], ['seqlens_k'], { to: INT32 });
  node('Shape', ['attention_mask'], ['mask_shape']);
  const index = constant('index', INT64, [], BigInt64Array.of(1n));
  node('Gather', ['mask_shape', index], ['mask_length'], { axis: 0 });
  const positions = node('Cast', ['mask_length'], ['total_sequence_length'], { to: INT32 });

  let residual = node('Gather', ['model.embed_tokens.weight', 'input_ids'], ['embedded'], { axis: 0 });
  let delta = null;
  const norm = (gain, out) => {
    if (delta === null) return node('SimplifiedLayerNormalization', [residual, gain], [out], { axis: -1, epsilon: EPSILON, stash_type: 1 });
    const normed = node(
      'SkipSimplifiedLayerNormalization',
      [residual, delta, gain],
      [out, '', '', `${out}.sum`],
      { epsilon: EPSILON },
      FUSED,
    );
    residual = `${out}.sum`;
    return normed;
  };
  for (let layer = 0; layer < layers; layer++) {
    const at = (part) => `model.layers.${layer}.${part}`;
    const product = (input, part) => node('MatMul', [input, at(`${part}.weight`)], [at(`${part}.out`)]);
    const entered = norm(at('input_layernorm.weight'), at('entered'));
    const [q, k, v] = ['q', 'k', 'v'].map((part) => product(entered, `self_attn.${part}_proj`));
    const [pastKey, pastValue] = ['key', 'value'].map((part) => `past_key_values.${layer}.${part}`);
    const [key, value] = ['key', 'value'].map((part) => `present.${layer}.${part}`);
    const mixed = node(
      'GroupQueryAttention',
      [q, k, v, pastKey, pastValue, lastPosition, positions, cos, sin],
      [at('mixed'), key, value],
      { num_heads: heads, kv_num_heads: heads, do_rotary: 1, rotary_interleaved: 0 },
      FUSED,
    );
    delta = product(mixed, 'self_attn.o_proj');
    const halfway = norm(at('post_attention_layernorm.weight'), at('halfway'));
    const gate = product(halfway, 'mlp.gate_proj');
    const up = product(halfway, 'mlp.up_proj');
    const sigmoid = node('Sigmoid', [gate], [at('sigmoid')]);
    const silu = node('Mul', [gate, sigmoid], [at('silu')]);
    delta = product(node('Mul', [silu, up], [at('gated')]), 'mlp.down_proj');
  }
  // The head is for the last position alone.
  const final = node('Gather', [norm('model.norm.weight', 'final'), last], ['final.last'], { axis: 1 });
  node('MatMul', [final, 'lm_head.weight'], ['logits']);
  const cache = (prefix, length) =>
    Array.from({ length: layers }, (_, layer) =>
      ['key', 'value'].map((part) => ({
        name: `${prefix}.${layer}.${part}`,
        type: FLOAT,
        dimensions: ['batch_size', heads, length, 2 * half],
      })),
    ).flat();
  return model({
    nodes,
    weights,
    inputs: [
      { name: 'input_ids', type: INT64, dimensions: ['batch_size', 'sequence_length'] },
      { name: 'attention_mask', type: INT64, dimensions: ['batch_size', 'total_sequence_length'] },
      ...cache('past_key_values', 'past_sequence_length'),
    ],
    outputs: [{ name: 'logits', type: FLOAT, dimensions: ['batch_size', 1, vocab] }, ...cache('present', 'total_sequence_length')],
  });
}

/** TopK of [rows, n], the rows sorted. @returns {Uint8Array[]} */
export function onnxTopK(rows, n, k) {
  return model({
    nodes: [
      { type: 'TopK', inputs: ['x', 'k'], outputs: ['values', 'indices'], attributes: { axis: -1, largest: 1, sorted: 1 }, domain: '' },
    ],
    weights: [{ name: 'k', type: INT64, dimensions: [1], bytes: new Uint8Array(BigInt64Array.of(BigInt(k)).buffer) }],
    inputs: [{ name: 'x', type: FLOAT, dimensions: [rows, n] }],
    outputs: [
      { name: 'values', type: FLOAT, dimensions: [rows, k] },
      { name: 'indices', type: INT64, dimensions: [rows, k] },
    ],
  });
}

function model({ nodes, weights, inputs, outputs }) {
  const graph = [
    ...nodes.map(({ type, inputs: from, outputs: to, attributes, domain }) =>
      part(1, [
        ...from.map((name) => text(1, name)),
        ...to.map((name) => text(2, name)),
        text(3, to[0]),
        text(4, type),
        ...Object.entries(attributes).map(([name, value]) => part(5, attribute(name, value))),
        text(7, domain),
      ]),
    ),
    text(2, 'graph'),
    ...weights.map(({ name, type, dimensions, bytes }) =>
      part(5, [...dimensions.map((size) => number(1, size)), number(2, type), text(8, name), part(9, [[bytes]])]),
    ),
    ...inputs.map((value) => part(11, valueInfo(value))),
    ...outputs.map((value) => part(12, valueInfo(value))),
  ];
  const opset = (domain, version) => part(8, [text(1, domain), number(2, version)]);
  return [number(1, 8), text(2, 'topk-lm'), part(7, graph), opset('', 17), opset(FUSED, 1)].flat();
}

function attribute(name, value) {
  const isFloat = !Number.isInteger(value);
  return [text(1, name), isFloat ? float(2, value) : number(3, value), number(20, isFloat ? ATTRIBUTE.float : ATTRIBUTE.int)];
}

const valueInfo = ({ name, type, dimensions }) => [
  text(1, name),
  part(2, [
    part(1, [
      number(1, type),
      part(
        2,
        dimensions.map((size) => part(1, [typeof size === 'string' ? text(2, size) : number(1, size)])),
      ),
    ]),
  ]),
];

// Protocol buffers: a field is a list of byte arrays, so that weights are not copied on the way into the file.
const number = (field, value) => [varint(field * 8), varint(value)];
const float = (field, value) => [varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)];
const text = (field, value) => part(field, [[Buffer.from(value)]]);

function part(field, fields) {
  const chunks = fields.flat();
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return [varint(field * 8 + 2), varint(length), ...chunks];
}

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}
