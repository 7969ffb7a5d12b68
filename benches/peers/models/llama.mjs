// Llama models of random weights, the same on every machine. A matrix is integers of 8 bits times a power of two, so that f32, f16, rows of
// int8 with scales and GGUF's q8_0 all hold exactly the same numbers: what differs between engines is their arithmetic alone.
const FIRST_WORD = 3;

/**
 * @typedef {{name: string, d: number, layers: number, heads: number, ffn: number, vocab: number, context: number, kvHeads?: number, tied?: boolean}} Shape
 *   without `kvHeads` as many as `heads`; `tied`: the head is the embedding
 */

/** @type {Shape[]} about 7 M and 34 M parameters */
export const SHAPES = [
  { name: 'tiny', d: 256, layers: 6, heads: 8, ffn: 688, vocab: 4096, context: 1024 },
  { name: 'small', d: 512, layers: 8, heads: 8, ffn: 1376, vocab: 8192, context: 1024 },
];

export const EPSILON = 1e-5;
export const THETA = 10_000;
/** Standard deviation of an integer that is uniform in −127 … 127. */
const SPREAD = 73.3;

/** The `config.json` of a shape. */
export function configOf({ d, layers, heads, ffn, vocab, context, kvHeads = heads, tied = false }) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: d,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: d / heads,
    intermediate_size: ffn,
    vocab_size: vocab,
    max_position_embeddings: context,
    rms_norm_eps: EPSILON,
    rope_theta: THETA,
    hidden_act: 'silu',
    tie_word_embeddings: tied,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
  };
}

/**
 * The tensors in the order of the files, each made when it is asked for.
 * @param {Shape} shape
 * @returns {Generator<{name: string, rows: number, columns: number, q: Int8Array, exponent: number} | {name: string, columns: number}>}
 *   a matrix [rows, columns] as numbers q · 2^-exponent; without `rows`: a norm's gain, all ones
 */
export function* tensorsOf({ d, layers, heads, ffn, vocab, kvHeads = heads, tied = false }) {
  const next = randomBytes(20251122);
  const matrix = (name, rows, columns, deviation = 1 / Math.sqrt(columns)) => {
    const q = new Int8Array(rows * columns);
    for (let i = 0; i < q.length; i++) q[i] = Math.max(-127, next());
    return { name, rows, columns, q, exponent: Math.round(Math.log2(SPREAD / deviation)) };
  };
  yield matrix('model.embed_tokens.weight', vocab, d, 1);
  for (let layer = 0; layer < layers; layer++) {
    const at = (part) => `model.layers.${layer}.${part}.weight`;
    yield { name: at('input_layernorm'), columns: d };
    const kv = (d / heads) * kvHeads;
    for (const [part, rows] of Object.entries({ q_proj: d, k_proj: kv, v_proj: kv, o_proj: d }))
      yield matrix(at(`self_attn.${part}`), rows, d);
    yield { name: at('post_attention_layernorm'), columns: d };
    yield matrix(at('mlp.gate_proj'), ffn, d);
    yield matrix(at('mlp.up_proj'), ffn, d);
    yield matrix(at('mlp.down_proj'), d, ffn);
  }
  yield { name: 'model.norm.weight', columns: d };
  if (tied) return;
  const head = matrix('lm_head.weight', vocab, d);
  // The ids of unknown, begin and end never come: a generation has the length that was asked for.
  head.q.fill(0, 0, FIRST_WORD * d);
  yield head;
}

/** Ids of a prompt of its own for each number, none of them special. */
export const promptOf = (number, length, vocab) =>
  Array.from({ length }, (_, i) => FIRST_WORD + ((number * 7919 + i * 104_729) % (vocab - FIRST_WORD)));

/** Integers −128 … 127: the highest bits of a xorshift generator. */
function randomBytes(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >> 24;
  };
}
