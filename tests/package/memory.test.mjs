// A model whose config.json promises an enormous context: memory is taken for the text; where it ends, that is an error and the engine goes on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { golden, modelFolder, packageFolder } from './fixture.mjs';

const { TopKLM, TopKDeviceError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);
const { prompt_ids: prompt, ids } = golden();

/** A model with random weights, as if it had a context of that length, and what else `sizes` say. */
async function modelWith(t, context, name = 'llama-gqa', { sizes, ...options } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-memory-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.cpSync(path.join(modelFolder, '..', name), folder, { recursive: true });
  const config = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8'));
  Object.assign(config, { max_position_embeddings: context }, sizes);
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const model = await TopKLM.load(folder, { backend: 'cpu', ...options });
  t.after(() => model.dispose());
  return model;
}

async function generate(model, given = prompt) {
  const made = [];
  for await (const { id } of model.generate(given, { maxTokens: 4, temperature: 0 })) made.push(id);
  return made;
}

test('a context of 800,000: ten generations at once', { timeout: 1_800_000 }, async (t) => {
  const model = await modelWith(t, 800_000);
  const all = await Promise.all(Array.from({ length: 10 }, () => generate(model)));
  for (const made of all) assert.deepEqual(made, ids.slice(0, made.length));
  assert.deepEqual(await generate(model), all[0]);
});

// Each position has a row as long as the text for each head: more than 32-bit addresses reach.
test('a result that wasm has no memory for: an error that says so, and the engine goes on', { timeout: 1_800_000 }, async (t) => {
  const model = await modelWith(t, 4_194_304, 'llama-odd-bf16');
  const before = await generate(model, [3, 1, 4]);
  const long = new Array(14_000).fill(3);
  for (let time = 0; time < 3; time++) {
    await assert.rejects(model.run(long, { hooks: ['blocks.0.attn.hook_pattern'] }), (error) => {
      assert.ok(error instanceof TopKDeviceError);
      assert.equal(error.code, 'out-of-memory');
      assert.match(error.message, /^there is no memory for the \d+ bytes of .*pattern/);
      return true;
    });
  }
  const layers = new Array(10_000_000).fill(0);
  const message = `there is no memory for the ${4 * 3 * model.config.d_vocab * layers.length} bytes of the logits of all layers; ask for fewer of them`;
  await assert.rejects(model.logitLens([3, 1, 4], { layers }), { code: 'out-of-memory', message });
  assert.equal(before.length, 4);
  assert.deepEqual(await generate(model, [3, 1, 4]), before);
});

test('a context whose cache 32-bit addresses do not reach is refused when the model is loaded', async (t) => {
  const message =
    'config.json: max_position_embeddings = 4194304 makes a key-value cache or attention that no memory holds; load fewer positions (maxContext, --max-context)';
  await assert.rejects(modelWith(t, 4_194_304), { code: 'config', message });
  // Its cache has 256 MB a layer, but a row of probabilities has 16 GB.
  const sizes = {
    hidden_size: 8,
    head_dim: 2,
    num_attention_heads: 1024,
    num_key_value_heads: 1,
    num_hidden_layers: 1,
    topk_k: 2,
    n_nontopk: 0,
  };
  await assert.rejects(modelWith(t, 4_194_304, 'llama-gqa', { sizes }), { code: 'config', message });
});

test('a cap at load makes do with less: the same text, up to the cap', async (t) => {
  const model = await modelWith(t, 4_194_304, 'llama-gqa', { maxContext: 32 });
  assert.equal(model.config.n_ctx, 32);
  const made = await generate(model);
  assert.deepEqual(made, ids.slice(0, made.length));
  await assert.rejects(model.run(new Array(33).fill(3)), {
    code: 'context',
    message: /^the prompt has 33 tokens, but the model's context holds 32/,
  });
  await assert.rejects(modelWith(t, 64, 'llama-gqa', { maxContext: 0 }), { code: 'argument', message: /^maxContext is 0/ });
});

test('matrices kept as f16 are rounded; another dtype is refused', async (t) => {
  const logits = async (options) => (await (await modelWith(t, 64, 'llama-i8', options)).run(prompt)).logits.data;
  const [stored, again, kept] = [await logits(), await logits({ dtype: 'stored' }), await logits({ dtype: 'f16' })];
  assert.deepEqual(again, stored);
  assert.notDeepEqual(kept, stored);
  await assert.rejects(modelWith(t, 64, 'llama-i8', { dtype: 'q8' }), {
    code: 'argument',
    message: 'dtype is "q8", but must be one of "stored", "f16".',
  });
});

test('keys and values cached in f16: near, the same however positions came to be cached; another kind is refused', async (t) => {
  const of = (kvCache) => modelWith(t, 64, 'llama-gqa', { kvCache });
  const logits = async (model) => (await model.run(prompt)).logits.data;
  const [whole, half] = [await of('f32'), await of('f16')];
  const [expected, got] = [await logits(whole), await logits(half)];
  assert.notDeepEqual(got, expected);
  assert.ok(got.every((logit, id) => Math.abs(logit - expected[id]) < 0.05));
  for (let length = 1; length < prompt.length; length++) await half.run(prompt.slice(0, length));
  assert.deepEqual(await logits(half), got);
  await assert.rejects(of('q8_0'), { code: 'argument', message: 'kvCache is "q8_0", but must be one of "f32", "f16".' });
  await assert.rejects(modelWith(t, 64, 'gpt2-odd-f16', { kvCache: 'f16' }), { code: 'config', message: /two by two; cache them in f32$/ });
});
