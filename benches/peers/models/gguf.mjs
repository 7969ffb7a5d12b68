// model.gguf: for wllama (llama.cpp). https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
// Token i is one character, so that a prompt of given ids can be handed over as text, and what comes back be read as ids.
import { characterOf } from './characters.mjs';
import { EPSILON, tensorsOf, THETA } from './llama.mjs';
import { bytesOf, f16Bits, ones } from './numbers.mjs';

const ALIGNMENT = 32;
const BLOCK = 32;
/** Numbers of value types, and of tensor types. */
const [U32, I32, F32, BOOL, STRING, ARRAY] = [4, 5, 6, 7, 8, 9];
const TENSOR = { f32: 0, f16: 1, q8_0: 8 };
const [NORMAL, UNKNOWN, CONTROL] = [1, 2, 3];

const NAMES = [
  [/^model\.embed_tokens/, 'token_embd'],
  [/^model\.norm/, 'output_norm'],
  [/^lm_head/, 'output'],
  [/^model\.layers\.(\d+)\.input_layernorm/, 'blk.$1.attn_norm'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, 'blk.$1.ffn_norm'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj/, 'blk.$1.attn_output'],
  [/^model\.layers\.(\d+)\.self_attn\.(.)_proj/, 'blk.$1.attn_$2'],
  [/^model\.layers\.(\d+)\.mlp\.(\w+)_proj/, 'blk.$1.ffn_$2'],
];

function nameOf(name) {
  const [pattern, as] = NAMES.find(([candidate]) => candidate.test(name));
  return name.replace(pattern, as);
}

/** llama.cpp rotates neighboring pairs, Hugging Face halves of a head: rows i and i + half become neighbors. */
function interleaved({ rows, columns, q, ...rest }, heads) {
  const half = rows / heads / 2;
  const ordered = new Int8Array(q.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / (2 * half)), row % (2 * half)];
    const to = head * 2 * half + (within % half) * 2 + Math.floor(within / half);
    ordered.set(q.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return { ...rest, rows, columns, q: ordered };
}

/** Blocks of 32 numbers of a row: an f16 scale, then the integers. */
function q8Blocks({ q, exponent }) {
  const bytes = new Uint8Array((q.length / BLOCK) * (BLOCK + 2));
  const scale = f16Bits(2 ** -exponent);
  for (let block = 0, at = 0; block < q.length; block += BLOCK, at += BLOCK + 2) {
    bytes[at] = scale & 255;
    bytes[at + 1] = scale >> 8;
    bytes.set(new Uint8Array(q.buffer, block, BLOCK), at + 2);
  }
  return bytes;
}

/** @param {'f32' | 'f16' | 'q8_0'} kind @returns {Uint8Array[]} the file, in parts */
export function gguf(shape, kind) {
  const head = new Writer();
  const tensors = [...tensorsOf(shape)].map((tensor) => encoded(tensor, shape, kind));
  const metadata = metadataOf(shape);
  head.raw(Buffer.from('GGUF')).u32(3).u64(tensors.length).u64(metadata.length);
  for (const [key, type, value] of metadata) head.string(key).u32(type).value(type, value);
  let offset = 0;
  for (const { name, dimensions, type, bytes } of tensors) {
    head.string(name).u32(dimensions.length);
    for (const size of dimensions) head.u64(size);
    head.u32(type).u64(offset);
    offset += bytes.length + padding(bytes.length);
  }
  head.raw(new Uint8Array(padding(head.length)));
  return [...head.parts, ...tensors.flatMap(({ bytes }) => [bytes, new Uint8Array(padding(bytes.length))])];
}

const padding = (length) => (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;

function encoded(tensor, { heads }, kind) {
  const name = nameOf(tensor.name);
  if (!tensor.q) return { name, dimensions: [tensor.columns], type: TENSOR.f32, bytes: ones(tensor.columns, 'f32') };
  const matrix = /\.(q|k)_proj/.test(tensor.name) ? interleaved(tensor, heads) : tensor;
  // Rows that are not whole blocks are f16, as in llama.cpp's own quantized files.
  const as = kind === 'q8_0' && matrix.columns % BLOCK > 0 ? 'f16' : kind;
  const bytes = as === 'q8_0' ? q8Blocks(matrix) : bytesOf(matrix, as);
  return { name, dimensions: [matrix.columns, matrix.rows], type: TENSOR[as], bytes };
}

function metadataOf({ d, layers, heads, ffn, vocab, context }) {
  const ids = Array.from({ length: vocab }, (_, id) => id);
  return [
    ['general.architecture', STRING, 'llama'],
    ['llama.context_length', U32, context],
    ['llama.embedding_length', U32, d],
    ['llama.block_count', U32, layers],
    ['llama.feed_forward_length', U32, ffn],
    ['llama.attention.head_count', U32, heads],
    ['llama.attention.head_count_kv', U32, heads],
    ['llama.attention.layer_norm_rms_epsilon', F32, EPSILON],
    ['llama.rope.dimension_count', U32, d / heads],
    ['llama.rope.freq_base', F32, THETA],
    ['tokenizer.ggml.model', STRING, 'llama'],
    ['tokenizer.ggml.tokens', ARRAY, { type: STRING, values: ids.map((id) => ['<unk>', '<s>', '</s>'][id] ?? characterOf(id)) }],
    ['tokenizer.ggml.scores', ARRAY, { type: F32, values: ids.map(() => 0) }],
    ['tokenizer.ggml.token_type', ARRAY, { type: I32, values: ids.map((id) => [UNKNOWN, CONTROL, CONTROL][id] ?? NORMAL) }],
    ['tokenizer.ggml.unknown_token_id', U32, 0],
    ['tokenizer.ggml.bos_token_id', U32, 1],
    ['tokenizer.ggml.eos_token_id', U32, 2],
    ['tokenizer.ggml.add_bos_token', BOOL, false],
    ['tokenizer.ggml.add_eos_token', BOOL, false],
    ['tokenizer.ggml.add_space_prefix', BOOL, false],
  ];
}

/** Little-endian values, one after the other. */
class Writer {
  parts = [];
  length = 0;

  raw(bytes) {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }
  #number(size, write) {
    const bytes = Buffer.alloc(size);
    write(bytes);
    return this.raw(bytes);
  }
  u32 = (value) => this.#number(4, (bytes) => bytes.writeUInt32LE(value));
  u64 = (value) => this.#number(8, (bytes) => bytes.writeBigUInt64LE(BigInt(value)));
  string(text) {
    const bytes = Buffer.from(text);
    return this.u64(bytes.length).raw(bytes);
  }
  value(type, value) {
    if (type === STRING) return this.string(value);
    if (type === F32) return this.#number(4, (bytes) => bytes.writeFloatLE(value));
    if (type === BOOL) return this.raw(Buffer.from([Number(value)]));
    if (type !== ARRAY) return this.u32(value);
    this.u32(value.type).u64(value.values.length);
    for (const entry of value.values) this.value(value.type, entry);
    return this;
  }
}
