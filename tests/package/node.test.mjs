// Node: models from a path, a file: URL, an http URL and bytes; computed in the process itself.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { build } from 'esbuild';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, golden, goldenFile, modelFolder, packageFolder, root } from './fixture.mjs';

const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);

const bytesOf = (folder) =>
  Object.fromEntries(['config.json', 'model.safetensors'].map((name) => [name, fs.readFileSync(path.join(folder, name))]));

async function greedy(model) {
  const { prompt_ids, ids } = golden();
  const found = [];
  for await (const { id } of model.generate(prompt_ids, { maxTokens: ids.length, temperature: 0 })) found.push(id);
  return found;
}

const rejectsWith = (promise, code, pattern) =>
  assert.rejects(promise, (error) => error instanceof TopKError && error.code === code && pattern.test(error.message));

test('a path, a file: URL, an http URL, bytes', async (t) => {
  const server = await serve({ '/': modelFolder });
  t.after(() => server.close());
  for (const source of [modelFolder, pathToFileURL(modelFolder), server.url, bytesOf(modelFolder)]) {
    const model = await TopKLM.load(source, { backend: 'cpu' });
    assert.equal(model.backend.kind, 'cpu');
    assert.equal(model.cache.state, 'memory');
    assert.deepEqual(await greedy(model), golden().ids);
    await model.dispose();
  }
});

test('the end of a block with `await using` disposes a model', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  assert.equal(await model[Symbol.asyncDispose](), undefined); // what such a block calls, which Node knows from 24 on
  await rejectsWith(model.run([1]), 'disposed', /disposed/);
});

test('edits count in the logit lens and in an ablation', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const { n_layers, d_vocab } = model.config;
  const ids = [1, 2, 3, 4];
  const edits = [{ layer: 0, index: 3, action: 'add', value: 5 }];
  const edited = (await model.run(ids, { edits, logits: 'all' })).logits.data;
  const plain = (await model.run(ids, { logits: 'all' })).logits.data;
  const gap = (a, b) => Math.max(...Array.from(a, (value, at) => Math.abs(value - b[at])));
  assert.ok(gap(edited, plain) > 0.1);
  const lens = await model.logitLens(ids, { layers: [n_layers - 1], edits });
  assert.ok(gap(lens.data, edited) < 1e-5);
  const { logit } = await model.ablate(ids, 7, { edits });
  assert.ok(Math.abs(logit - edited[3 * d_vocab + 7]) < 1e-5);
  await model.dispose();
});

test('the number of new tokens that a model asks for holds where the caller gives none', async () => {
  const source = {
    ...bytesOf(modelFolder),
    'generation_config.json': new TextEncoder().encode('{"max_new_tokens": 3, "do_sample": true}'),
  };
  const model = await TopKLM.load(source, { backend: 'cpu' });
  assert.equal(model.config.generation.max_new_tokens, 3);
  for (const [maxTokens, count] of [
    [undefined, 3],
    [5, 5],
  ]) {
    const written = [];
    for await (const { id } of model.generate([1, 2], { maxTokens, temperature: 0, ignoreEos: true })) written.push(id);
    assert.equal(written.length, count);
  }
  await model.dispose();
});

test('the numbers of the configuration are those of its files', async () => {
  const asked = { temperature: 0.7, top_p: 0.95, repetition_penalty: 1.1 };
  const source = {
    ...bytesOf(modelFolder),
    'generation_config.json': new TextEncoder().encode(JSON.stringify({ do_sample: true, ...asked })),
  };
  const model = await TopKLM.load(source, { backend: 'cpu' });
  const { norm_eps, generation } = model.config;
  const { temperature, top_p, repetition_penalty } = generation;
  assert.deepEqual({ norm_eps, temperature, top_p, repetition_penalty }, { norm_eps: 1e-5, ...asked });
  await model.dispose();
});

test('a special token that is written out in a text, or a prompt, counts as that token unless it is to be split', async () => {
  const model = await TopKLM.load(path.join(root, 'models/Llama-TopK-Stories-16M'), { backend: 'cpu' });
  const text = '<|endoftext|>a<|endoftext|>b';
  assert.equal((await model.run('a<|endoftext|>b', { logits: 'none' })).tokens.join(''), text);
  const [first, , second] = await model.tokenizer.encode('a<|endoftext|>b');
  assert.equal(second, first);
  const { encode, decode } = model.tokenizer;
  const split = await encode('a<|endoftext|>b', { splitSpecialTokens: true });
  assert.equal(split.filter((id) => id === first).length, 1, 'the one in front');
  assert.equal(await decode(split), 'a<|endoftext|>b');
  class Options {
    splitSpecialTokens = true;
  }
  const elsewhere = vm.runInNewContext('({ splitSpecialTokens: true })');
  for (const options of [Object.assign(Object.create(null), { splitSpecialTokens: true }), new Options(), elsewhere]) {
    assert.deepEqual(await encode('a<|endoftext|>b', options), split, 'whatever kind of object they are in');
  }
  assert.deepEqual(await encode('a<|endoftext|>b', { splitSpecialTokens: undefined }), await encode('a<|endoftext|>b'));
  assert.deepEqual(await Promise.all(['a', 'b'].map(encode)), await Promise.all(['a', 'b'].map((word) => encode(word))));
  assert.deepEqual(await Promise.all([[first], [second]].map(decode)), ['', '']);
  await rejectsWith(encode('a', { splitSpecialTokens: 1 }), 'argument', /splitSpecialTokens/);
  await rejectsWith(encode('a', { add_special_tokens: false }), 'argument', /no option of encode/);
  await model.dispose();
});

test('active neurons and shapes as PyTorch has them', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const [{ ids, active }] = goldenFile().runs;
  const layers = Object.keys(active);
  const { config } = model;
  const result = await model.run(ids, { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`), logits: 'all' });
  assert.deepEqual(result.ids, Uint32Array.from(ids));
  assert.equal(result.tokens, null);
  assert.deepEqual(result.logits.shape, [ids.length, config.d_vocab]);
  for (const layer of layers) {
    const { shape, rowStart, indices, values } = result.hooks[`blocks.${layer}.hook_topk_out`];
    assert.deepEqual(shape, [ids.length, config.d_model]);
    assert.ok(values.every((value) => value !== 0));
    const rows = ids.map((_, row) => [...indices.subarray(rowStart[row], rowStart[row + 1])]);
    assert.deepEqual(rows, active[layer]);
  }
  const lens = await model.logitLens(ids, { layers: [config.n_layers - 1] });
  assert.deepEqual(lens.shape, [1, ids.length, config.d_vocab]);
  assert.deepEqual(lens.data, result.logits.data, 'the last layer seen by the lens is the model itself');
  await model.dispose();
});

test('ablate: the effects are those of edits made one by one', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const ids = golden().prompt_ids;
  const target = golden().ids[0];
  const { logit, layers, indices, values, effects } = await model.ablate(ids, target);
  const plain = await model.run(ids);
  assert.equal(logit, plain.logits.data[target]);
  assert.ok(layers.length > 0 && values.every((value) => value !== 0));
  for (const at of [0, layers.length >> 1, layers.length - 1]) {
    const positions = { from: ids.length - 1, to: ids.length };
    const edits = [{ layer: layers[at], index: indices[at], action: 'ablate', positions }];
    const { logits } = await model.run(ids, { edits });
    assert.ok(Math.abs(logit - logits.data[target] - effects[at]) < 1e-6);
  }
  await model.dispose();
});

test('setEach: the effects are those of edits made one by one, in any order', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const ids = golden().prompt_ids;
  const target = golden().ids[0];
  const neurons = { layers: [1, 0, 1, 0], indices: new Uint32Array([3, 5, 8, 2]), values: [2.5, -1, 0, 4] };
  const heard = [];
  const { logit, effects } = await model.setEach(ids, target, neurons, { onProgress: (done, total) => heard.push([done, total]) });
  assert.equal(effects.length, 4);
  assert.deepEqual(
    [heard[0], heard.at(-1)],
    [
      [0, 4],
      [4, 4],
    ],
  );
  for (const [at, effect] of effects.entries()) {
    const positions = { from: ids.length - 1, to: ids.length };
    const edits = [{ layer: neurons.layers[at], index: neurons.indices[at], action: 'clamp', value: neurons.values[at], positions }];
    const { logits } = await model.run(ids, { edits });
    assert.ok(Math.abs(logits.data[target] - logit - effect) < 1e-6);
  }
  const { effects: none } = await model.setEach(ids, target, { layers: [], indices: [], values: [] });
  assert.equal(none.length, 0);
  await rejectsWith(model.setEach(ids, target, { layers: [9], indices: [0], values: [1] }), 'argument', /^1 at neuron 9\.0 cannot be set/);
  await rejectsWith(model.setEach(ids, target, { layers: [0], indices: [0], values: [Number.NaN] }), 'argument', /values finite$/);
  await model.dispose();
});

test('a batch gives what its generations give alone', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const { prompt_ids } = golden();
  const hooks = ['blocks.0.hook_topk_out'];
  const generations = Array.from({ length: 9 }, (_, seed) => ({
    prompt: prompt_ids.slice(0, 2 + (seed % 3)),
    seed,
    temperature: 0.9,
    maxTokens: 2 + seed,
    ignoreEos: seed % 2 === 0,
    edits: [{ layer: 0, index: seed, action: 'add', value: seed, site: 'topk_in', positions: seed < 5 ? 'generated' : 'all' }],
    hooks: seed === 4 ? hooks : [],
    topLogprobs: seed % 4,
  }));
  const heard = generations.map(() => []);
  const all = await model.generateBatch(generations, { onStep: (step, number) => heard[number].push(step) });
  assert.equal(all.length, generations.length);
  for (const [number, { prompt, ...options }] of generations.entries()) {
    const { promptIds, ids, text, steps, finish, seed } = all[number];
    const alone = model.generate(prompt, options);
    const expected = [];
    for await (const step of alone) expected.push(step);
    assert.deepEqual(steps, expected);
    assert.deepEqual(heard[number], steps);
    assert.deepEqual(
      [...ids],
      expected.map(({ id }) => id),
    );
    assert.deepEqual([...promptIds], prompt);
    assert.deepEqual([text, finish, seed], ['', alone.finish, BigInt(number)]);
  }
  assert.deepEqual(Object.keys(all[4].steps[0].hooks), hooks);
  assert.deepEqual(await model.generateBatch([]), []);
  await model.dispose();
});

test('a batch says which generation is wrong, and ends as a whole', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const good = { prompt: [1, 2], maxTokens: 30, ignoreEos: true };
  const wrong = [
    [
      { prompt: [1], max_tokens: 3 },
      'argument',
      /^generation 1: "max_tokens" is no option of a generation of generateBatch; did you mean maxTokens\?/,
    ],
    [{ prompt: [1], signal: AbortSignal.timeout(9) }, 'argument', /^generation 1: "signal"/],
    [{ prompt: [1], temperature: -1 }, 'argument', /^generation 1: temperature is -1/],
    [{}, 'argument', /^generation 1: prompt must be a string, a list of token ids/],
    [7, 'argument', /^generation 1: must be an object/],
    [{ prompt: [1], edits: [{ layer: 0, index: -1, action: 'ablate' }] }, 'edit', /^generation 1: edit 0: index is -1/],
    [
      { prompt: [1], edits: [{ layer: 0, index: 1, action: 5 }] },
      'edit',
      /^generation 1: edit 0: action: .*expected "add", "clamp", "scale" or "ablate"/,
    ],
    [
      { prompt: [1], edits: [{ layer: 0, index: 1, action: 'ablate', site: 1 }] },
      'edit',
      /^generation 1: edit 0: site: .*expected "topk_out" or "topk_in"/,
    ],
    [{ prompt: [1], edits: [{ layer: 0, index: 1, action: 'ablate', propagate: true }] }, 'edit', /expected "layer" or "from_layer"/],
    [{ prompt: [1], edits: [{ layer: 99, index: 1, action: 'ablate' }] }, 'edit', /^generation 1: edit 0: layer is 99/],
    [{ prompt: [99_999] }, 'argument', /^generation 1: prompt holds 99999, but the model's tokens are 0 to \d+$/],
    [{ prompt: [1], hooks: ['blocks.0.no'] }, 'hook', /^generation 1: /],
  ];
  for (const [given, code, pattern] of wrong) await rejectsWith(model.generateBatch([good, given]), code, pattern);
  await rejectsWith(model.generateBatch(good), 'argument', /list of/);
  await rejectsWith(model.generateBatch([good], { onToken: () => {} }), 'argument', /did you mean onStep/);
  const controller = new AbortController();
  let heard = 0;
  const onStep = () => {
    heard++;
    controller.abort();
  };
  await assert.rejects(model.generateBatch([good, good], { signal: controller.signal, onStep }), { name: 'AbortError' });
  assert.equal(heard, 1, 'none after the abort');
  assert.equal((await model.generateBatch([good]))[0].ids.length, 30);
  const running = model.generateBatch([good, good]);
  await Promise.all([rejectsWith(running, 'disposed', /disposed/), model.dispose()]);
});

test('errors are typed and name what is wrong', async () => {
  const message = 'TopKLM.load makes a model, not new TopKLM.';
  assert.throws(
    () => new TopKLM(modelFolder),
    (error) => error instanceof TopKError && error.code === 'argument' && error.message === message,
  );
  await rejectsWith(TopKLM.load('no/such/folder'), 'argument', /has no config\.json/);
  await rejectsWith(TopKLM.load(modelFolder, { worker: true }), 'worker', /worker: false/);
  await rejectsWith(TopKLM.load({ ...bytesOf(modelFolder), 'config.json': Buffer.from('{') }), 'config', /config\.json/);
  await rejectsWith(TopKLM.load({ ...bytesOf(modelFolder), 'model.safetensors': Buffer.alloc(100) }), 'checkpoint', /model\.safetensors/);
  const model = await TopKLM.load(modelFolder);
  await rejectsWith(model.run([0], { hooks: ['blocks.0.hook_nothing'] }), 'hook', /hook_nothing.*topk_out/);
  await rejectsWith(model.run([0], { edits: [{ layer: 99, index: 0, action: 'ablate' }] }), 'edit', /layer/);
  for (const call of ['run', 'logitLens', 'saeQuality']) {
    await rejectsWith(model[call]([model.config.d_vocab]), 'argument', /^prompt holds \d+, but the model's tokens are 0 to \d+$/);
    await rejectsWith(model[call]([]), 'argument', /^prompt is empty; give at least one token$/);
  }
  await rejectsWith(model.ablate([], 0), 'argument', /^prompt is empty/);
  await rejectsWith(model.run([1], { promptLength: 5 }), 'argument', /^promptLength is 5, but there are 1 tokens/);
  const unset = { layers: [0], indices: [1], values: [null] };
  await rejectsWith(model.setEach([1], 0, unset), 'argument', /finite/);
  // It would be 0 to the engine, whose numbers have 32 bits.
  await rejectsWith(model.ablate([0], 2 ** 32), 'argument', /^target is 4294967296, but must be a whole number from 0 to 4294967295\.$/);
  await rejectsWith(model.generate([]).next(), 'argument', /^prompt is empty/);
  await rejectsWith(model.run('text'), 'tokenizer', /tokenizer\.json/);
  await rejectsWith(model.loadCheckpoint(7), 'checkpoint', /^step is 7, but there is no step7\/model\.safetensors; .* are none/);
  await rejectsWith(model.attachSae(modelFolder), 'argument', /^cfg\.json is missing from .*llama/);
  await rejectsWith(model.run([0], { logits: 'some' }), 'argument', /logits/);
  assert.throws(() => model.generate([0], { maxTokens: -1 }), /maxTokens/);
  const stream = model.generate([0], { edits: [{ layer: 0, index: 9999, action: 'ablate' }] });
  await rejectsWith(stream.next(), 'edit', /index is 9999/);
  assert.deepEqual(await greedy(model), golden().ids, 'usable after all of that');
  await model.dispose();
  await rejectsWith(model.run([0]), 'disposed', /load it again/);
  await rejectsWith(model.attachSae('https://host.invalid/sae/'), 'disposed', /load it again/); // without asking the host
});

test('a checkpoint whose files do not all come as they should leaves the weights as they are', async (t) => {
  const { 'config.json': config, 'model.safetensors': weights } = bytesOf(modelFolder);
  const files = {
    'config.json': config,
    'model.safetensors': weights,
    'step5/config.json': config,
    'step5/model.safetensors': Buffer.from(weights),
  };
  files['step5/model.safetensors'].fill(0, 8 + Number(weights.readBigUInt64LE()));
  const listed = Object.entries(files).map(([name, bytes]) => ({
    path: name,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  files['manifest.json'] = Buffer.from(JSON.stringify({ format: 1, files: listed }));
  files['step5/config.json'] = Buffer.from(String(config).replace('{', '\n')); // as long as before
  const intercept = ({ url }, response) => {
    const bytes = files[url.slice(1)];
    response.writeHead(bytes ? 200 : 404, { 'content-type': 'application/octet-stream' }).end(bytes);
    return true;
  };
  const server = await serve({}, { intercept });
  t.after(() => server.close());
  const model = await TopKLM.load(server.url, { backend: 'cpu' });
  await rejectsWith(model.loadCheckpoint(5), 'integrity', /step5\/config\.json does not match manifest\.json/);
  assert.deepEqual(await greedy(model), golden().ids);
  files['step5/config.json'] = config;
  await model.loadCheckpoint(5);
  assert.ok((await model.run([1])).logits.data.every((logit) => logit === 0));
  await model.dispose();
});

test('statistics of another model are refused', async () => {
  const index = fs.readFileSync(path.join(root, 'models/Llama-TopK-Stories-16M/features/index.json'));
  const model = await TopKLM.load({ ...bytesOf(modelFolder), 'features/index.json': index }, { backend: 'cpu' });
  await rejectsWith(model.features.index(), 'features', /features\/index\.json: d_model is 1024, but the model's is \d+;/);
  await model.dispose();
});

test('a script ends by itself when its work is done', () => {
  const folder = createProject('node');
  const script = `import { TopKLM } from 'topk-lm';
const model = await TopKLM.load(process.argv[2]);
for await (const { id } of model.generate([1, 2], { maxTokens: 3, temperature: 0 })) console.log(id);
`;
  fs.writeFileSync(path.join(folder, 'script.mjs'), script);
  const output = execFileSync(process.execPath, ['script.mjs', modelFolder], { cwd: folder, encoding: 'utf8', timeout: 1_800_000 });
  assert.equal(output.trim().split('\n').length, 3);
});

test('calls that compute side by side give way one after the other, so that a server hears others between any two', async (t) => {
  const { MessageChannel } = globalThis;
  let turns = 0;
  let inTurn = 0;
  let most = 0;
  // A call gives way by a message to itself.
  globalThis.MessageChannel = class extends MessageChannel {
    constructor() {
      super();
      this.port1.addEventListener('message', () => {
        most = Math.max(most, ++inTurn);
      });
    }
  };
  let turning = setImmediate(function turn() {
    turns++;
    inTurn = 0;
    turning = setImmediate(turn);
  });
  t.after(() => {
    clearImmediate(turning);
    globalThis.MessageChannel = MessageChannel;
  });
  const model = await TopKLM.load(path.join(root, 'models/Llama-TopK-Stories-16M'));
  const ids = Array.from({ length: 200 }, (_, place) => place);
  turns = 0;
  await Promise.all([1, 2, 3, 4, 5, 6].map(() => model.run(ids)));
  await model.dispose();
  assert.ok(turns > 6);
  assert.equal(most, 1);
});

test("a server's bundle that leaves the engine behind: the error names ways out, of which topk-lm/bundle is one", async () => {
  for (const [entry, expected] of [
    ['topk-lm', /^wasm: The engine could not be loaded .*; import topk-lm\/bundle, or leave topk-lm out of the server's bundle /],
    ['topk-lm/bundle', /^loaded$/],
  ]) {
    const folder = createProject('server', entry);
    fs.writeFileSync(
      path.join(folder, 'server.mjs'),
      `import { TopKLM } from '${entry}';
      TopKLM.load(${JSON.stringify(modelFolder)}).then(
        (model) => model.dispose().then(() => console.log('loaded')),
        ({ code, message }) => console.log(code + ': ' + message),
      );`,
    );
    for (const [format, outfile] of [
      ['cjs', 'out/server.cjs'],
      ['esm', 'out/server.mjs'],
    ]) {
      const options = { bundle: true, platform: 'node', logLevel: 'error' };
      await build({ absWorkingDir: folder, entryPoints: ['server.mjs'], format, outfile, ...options });
      const said = execFileSync(process.execPath, [path.join(folder, outfile)], { encoding: 'utf8' });
      assert.match(said.trim(), expected, `${entry}, ${format}`);
    }
  }
});

test('the file of the engine: what is no WebAssembly, a connection that breaks, and a server that never answers', async (t) => {
  let answer = (response) => response.writeHead(200, { 'content-type': 'application/wasm' }).end('<!doctype html>');
  const asked = [];
  const server = await serve(
    {},
    {
      intercept: (request, response) => {
        asked.push(request.url);
        answer(response);
        return true;
      },
    },
  );
  t.after(() => server.close());
  // Another process, since this one has the engine already.
  const script = (load, options, told) => `
    import { mock } from 'node:test';
    import { TopKLM } from ${JSON.stringify(pathToFileURL(path.join(packageFolder, 'index.js')).href)};
    const loading = TopKLM.load(${JSON.stringify(modelFolder)}, { wasmUrl: '${server.url}x.wasm', ${options} }).catch(({ code, message }) => ({ code, message }));
    ${load}
    console.log(JSON.stringify(${told}));`;
  const said = (load = '', options = '', told = 'await loading') =>
    new Promise((resolve, reject) =>
      execFile(process.execPath, ['--input-type=module', '-e', script(load, options, told)], (error, out) =>
        error ? reject(error) : resolve(JSON.parse(out)),
      ),
    );
  const wrong = await said();
  assert.equal(wrong.code, 'wasm');
  assert.match(wrong.message, /what the server sent is not WebAssembly/);
  assert.equal(asked.length, 2, 'asked once more');
  // Another load, which says no address of its own, has its own outcome.
  const other = `const other = TopKLM.load(${JSON.stringify(modelFolder)}).then((model) => model.dispose().then(() => 'loaded'), String);`;
  assert.deepEqual(await said(other, '', '[(await loading).code, await other]'), ['wasm', 'loaded']);
  const engine = fs.readFileSync(path.join(packageFolder, 'topk_lm_bg.wasm'));
  let isBroken = true;
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/wasm', 'content-length': engine.length });
    response.write(engine.subarray(0, 2)); // less than what every module begins with
    setTimeout(() => {
      if (isBroken) response.write(engine.subarray(2, 1_000_000), () => setTimeout(() => response.destroy(), 100));
      else response.end(engine.subarray(2));
      isBroken = false;
    }, 100);
  };
  const onProgress = `onProgress: ({ phase, loadedBytes }) => phase === 'compile' && (globalThis.seen ??= []).push(loadedBytes)`;
  const seen = await said('await (await loading).dispose();', onProgress, 'seen');
  assert.equal(seen.at(-1), engine.length);
  assert.ok(seen.length > 2 && seen.every((bytes, at) => at === 0 || bytes > seen[at - 1]), `it never goes back: ${seen}`);
  answer = () => {};
  const silent = await said(`
    mock.timers.enable({ apis: ['setTimeout'] });
    let over = false;
    loading.then(() => (over = true));
    while (!over) {
      mock.timers.tick(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }`);
  assert.equal(silent.code, 'download');
  assert.match(silent.message, /the server said nothing for 30 s/);
});
