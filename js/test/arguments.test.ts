import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import {
  batchOf,
  editsOf,
  generateOptions,
  idsOf,
  effectsOf,
  layersOf,
  neuronsOf,
  loadOptions,
  optionsOf,
  promptOf,
  runOptions,
  signalOf,
  sourceOf,
  wholeNumber,
} from '../src/arguments.ts';
import {
  toTopKError,
  TopKAbortError,
  TopKArgumentError,
  TopKDeviceError,
  TopKDisposedError,
  TopKDownloadError,
  TopKError,
  TopKModelError,
  TopKWorkerError,
  typedCalls,
} from '../src/errors.ts';
import { threadsFor } from '../src/team.ts';
import type { GenerateOptions, LoadOptions, ModelSource, NeuronValues, RunOptions } from '../src/types.ts';

const throwsArgument = (call: () => unknown, pattern: RegExp) =>
  assert.throws(call, (error) => error instanceof TopKArgumentError && error.code === 'argument' && pattern.test(error.message));

test('generate: every argument is named when it is wrong', () => {
  const wrong: [object, RegExp][] = [
    [{ maxTokens: -1 }, /^maxTokens is -1, but must be a whole number from 0 to 4294967295\.$/],
    [{ maxTokens: 2 ** 32 }, /^maxTokens is 4294967296, but must be a whole number from 0 to 4294967295\.$/],
    [{ maxTokens: 1.5 }, /maxTokens/],
    [{ maxTokens: '3' }, /maxTokens is "3"/],
    [{ temperature: -0.1 }, /temperature/],
    [{ temperature: Number.NaN }, /temperature is NaN/],
    [{ temperature: 1e39 }, /^temperature is 1e\+39, but must be a finite number/], // infinite in f32
    [{ topK: -1 }, /topK/],
    [{ topP: 0 }, /topP is 0, but must be above 0 and at most 1/],
    [{ topP: 1.1 }, /topP/],
    [{ topP: 1e-300 }, /^topP is 1e-300, but must be above 0/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty/],
    [{ repetitionPenalty: 1e39 }, /^repetitionPenalty is 1e\+39, but must be a finite number/],
    [{ seed: -1 }, /seed/],
    [{ seed: 2 ** 53 }, /seed/],
    [{ seed: 1n << 64n }, /seed is 18446744073709551616n/],
    [{ stop: [1] }, /^stop must be a string or a list of strings, not 1\.$/],
    [{ stop: 5 }, /^stop must be a string or a list of strings, not 5\.$/],
    [{ stop: null }, /^stop must be a string or a list of strings, not null\.$/],
    [{ ignoreEos: 1 }, /ignoreEos/],
    [{ edits: {} }, /^edits must be a list, not \[object Object\]\.$/],
    [{ hooks: 'x' }, /^hooks must be a list of strings, not "x"\.$/],
    [{ hooks: [3] }, /^hooks must be a list of strings, not 3\.$/],
    [{ hooks: ['x', undefined] }, /^hooks must be a list of strings, not undefined\.$/],
    [{ topLogprobs: -2 }, /topLogprobs/],
  ];
  for (const [options, pattern] of wrong) throwsArgument(() => generateOptions(options as GenerateOptions), pattern);
});

test('generate: what was not given is left to the engine, the rest arrives as it takes it', () => {
  assert.deepEqual(generateOptions({}), { stop: [], edits: [], hooks: [] });
  const given = generateOptions({ maxTokens: 0, seed: 7, stop: 'end', temperature: 0, hooks: ['hook_embed'] });
  assert.deepEqual(given, { maxTokens: 0, seed: 7n, stop: ['end'], temperature: 0, edits: [], hooks: ['hook_embed'] });
  assert.equal(generateOptions({ seed: (1n << 64n) - 1n }).seed, (1n << 64n) - 1n);
});

test('a batch: each generation as generate takes it, and which one is wrong', () => {
  assert.deepEqual(batchOf([{ prompt: 'a', seed: 1 }, { prompt: [3] }]), [
    { prompt: 'a', options: { stop: [], edits: [], hooks: [], seed: 1n } },
    { prompt: Uint32Array.of(3), options: { stop: [], edits: [], hooks: [] } },
  ]);
  throwsArgument(() => batchOf({}), /^The generations must be a list/);
  throwsArgument(() => batchOf(new Array(1)), /^generation 0: must be an object/);
  throwsArgument(() => batchOf([{ prompt: 'a' }, { prompt: 'b', topP: 0 }]), /^generation 1: topP is 0/);
  throwsArgument(() => batchOf([{ prompt: 'a', n_predict: 3 }]), /^generation 0: "n_predict" is no option .* did you mean maxTokens/);
});

test('run: defaults and checks', () => {
  assert.deepEqual(runOptions({}), { hooks: [], edits: [], logits: 'last' });
  assert.deepEqual(runOptions({ promptLength: 3, logits: 'all' }), { hooks: [], edits: [], logits: 'all', promptLength: 3 });
  throwsArgument(
    () => runOptions({ logits: 'some' } as unknown as RunOptions),
    /logits is "some", but must be one of "none", "last", "all"/,
  );
  throwsArgument(() => runOptions({ promptLength: -3 }), /promptLength/);
});

test('setEach: neurons as one list, and what is wrong with them', () => {
  const neurons = { layers: [0, 3], indices: Uint32Array.of(7, 9), values: [1.5, -2] };
  assert.deepEqual(neuronsOf(neurons), Float32Array.of(0, 7, 1.5, 3, 9, -2));
  assert.equal(neuronsOf({ layers: [], indices: [], values: [] }).length, 0);
  // What is no number is none, and no 0 or 1: the engine says which it is.
  for (const value of [null, true, '18', undefined, 18n]) {
    assert.deepEqual(neuronsOf({ layers: [0], indices: [7], values: [value] } as never), Float32Array.of(0, 7, NaN));
  }
  for (const [wrong, pattern] of [
    [undefined, /^neurons\.layers must be a list of layer numbers/],
    [{ ...neurons, layers: [0, -3] }, /^neurons\.layers\[1\] is -3, but must be a layer number/],
    [{ ...neurons, indices: [0.5, 1] }, /^neurons\.indices\[0\] is 0\.5/],
    [{ ...neurons, values: [1] }, /^neurons must have layers, indices and values of one length/],
    [{ ...neurons, values: undefined }, /of one length/],
    [{ ...neurons, indices: [1] }, /of one length/],
  ] as const) {
    throwsArgument(() => neuronsOf(wrong as unknown as NeuronValues), pattern);
  }
  throwsArgument(() => effectsOf('setEach', 'a', undefined as unknown as number, {}), /^target is missing/);
  throwsArgument(() => effectsOf('setEach', 'a', 1, { edit: [] } as never), /"edit" is no option of setEach; did you mean edits/);
});

test('edits: whole numbers, and undefined is as if left out', () => {
  assert.throws(() => editsOf(new Array(1)), /edit 0: must be an object/, 'a hole in the list');
  const edit = { layer: 1, index: 2, action: 'ablate', value: undefined, site: undefined } as const;
  assert.deepEqual(editsOf([edit]), [{ layer: 1, index: 2, action: 'ablate' }]);
  const range = { from: 1, to: 3 };
  assert.deepEqual(
    editsOf([new Proxy({ ...edit, positions: new Proxy(range, {}) }, {})]),
    [{ layer: 1, index: 2, action: 'ablate', positions: range }],
    'of a store that wraps what it holds',
  );
  for (const [wrong, pattern] of [
    [{ ...edit, index: -1 }, /^edit 1: index is -1, but must be a whole number from 0 to 4294967295\.$/],
    [{ ...edit, layer: 2 ** 32 }, /^edit 1: layer is 4294967296, but must be a whole number from 0/],
    [{ ...edit, layer: '1' }, /^edit 1: layer is "1"/],
    [{ index: 2 }, /^edit 1: layer is undefined/],
    [null, /^edit 1: must be an object/],
    [{ ...edit, action: 'add', value: '3' }, /^edit 1: value is "3", but must be a number\.$/],
    [{ ...edit, action: 'add', value: 3n }, /^edit 1: value is 3n, but must be a number\.$/],
  ] as const) {
    assert.throws(
      () => editsOf([edit, wrong]),
      (error) => error instanceof TopKArgumentError && error.code === 'edit' && pattern.test(error.message),
    );
  }
});

test('unknown options are refused, with the one that was meant', () => {
  for (const [call, options, message] of [
    ['generate', { max_new_tokens: 5 }, /^"max_new_tokens" is no option of generate; did you mean maxTokens\?$/],
    ['generate', { edit: [] }, /did you mean edits\?/],
    ['generate', { top_k: 5 }, /did you mean topK\?/],
    ['generate', { do_sample: false }, /did you mean temperature\?/],
    ['generate', { repetition_penalty: 1 }, /did you mean repetitionPenalty\?/],
    ['load', { device: 'webgpu' }, /"device" is no option of load; did you mean backend\?/],
    ['load', { progress_callback: () => {} }, /did you mean onProgress\?/],
    ['load', { cache_type_k: 'f16' }, /"cache_type_k" is no option of load; did you mean kvCache\?$/],
    ['load', { quantized: true }, /"quantized" is no option of load; did you mean dtype\?$/],
    [
      'load',
      { local_files_only: true },
      /"local_files_only" is no option of load; there are backend, maxContext, dtype, kvCache, threads, .*hub\.$/,
    ],
    ['run', { logit: 'all' }, /did you mean logits\?/],
    ['run', { maxTokens: 3 }, /"maxTokens" is no option of run; there are hooks, /],
    ['attachSae', { errorterm: true }, /did you mean errorTerm\?/],
    ['decode', { skip_special_tokens: true }, /did you mean skipSpecial\?/],
    ['encode', { split_special_tokens: true }, /did you mean splitSpecialTokens\?/],
    ['encode', { add_special_tokens: false }, /^"add_special_tokens" is no option of encode; /],
    ['Features.open', { cahce: false }, /did you mean cache\?/],
    ['index, neuron, steps and clusters', [], /must be an object/],
    ['run', { [`x${'y'.repeat(1000)}`]: 1 }, /^.{1,150}$/],
  ] as const) {
    throwsArgument(() => optionsOf(call, options as never), message);
  }
  const left = { maxTokens: 3, max_new_tokens: undefined };
  assert.equal(optionsOf('generate', left), left, 'undefined is as if left out');
  for (const [edit, message] of [
    [{ layer: 1, index: 2, action: 'ablate', positon: 'all' }, /^edit 0: "positon" is no field of an edit; did you mean positions\?$/],
    [{ layer: 1, neuron: 2, action: 'ablate' }, /did you mean index\?/],
    [{ sae: 'hook_embed', index: 2, action: 'ablate', hoook: 1 }, /"hoook" is no field of an edit/],
    [{ layer: 1, index: 2, action: 'ablate', positions: { from: 1, until: 2 } }, /"until" is no field of positions/],
  ] as const) {
    assert.throws(
      () => editsOf([edit]),
      (error) => error instanceof TopKArgumentError && error.code === 'edit' && message.test(error.message),
    );
  }
});

test('a call refuses options that it does not take', async () => {
  const calls = typedCalls({
    encode: async (text: string) => text.length,
    first: (text: string) => text[0],
  });
  const refused = (name: string) => (error: unknown) =>
    error instanceof TopKArgumentError && error.message === `${name} takes no further options.`;
  const further = { add_special_tokens: false };
  // @ts-expect-error: one argument too many
  await assert.rejects(calls.encode('a', further), refused('encode'));
  // @ts-expect-error: one argument too many
  assert.throws(() => calls.first('a', further), refused('first'));
  assert.deepEqual(await Promise.all(['ab', 'c'].map(calls.encode)), [2, 1], 'an index and a list are no options');
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  // @ts-expect-error: one argument too many
  assert.equal(await calls.encode('a', proxy), 1, 'what cannot be looked at is none');
});

test('ids and prompts', () => {
  assert.deepEqual(promptOf([1, 2]), Uint32Array.of(1, 2));
  assert.equal(promptOf('text'), 'text');
  const ids = Uint32Array.of(3);
  assert.deepEqual(idsOf('ids', ids), ids);
  assert.notEqual(idsOf('ids', ids), ids, 'the caller may go on changing its own');
  const sent = Uint32Array.of(3);
  structuredClone(sent, { transfer: [sent.buffer] });
  assert.throws(() => idsOf('ids', sent), /^\w+: ids is a Uint32Array whose memory was sent elsewhere\.$/);
  const foreign = runInNewContext('Uint32Array.of(3)') as Uint32Array;
  assert.ok(!(foreign instanceof Uint32Array));
  assert.deepEqual(idsOf('ids', foreign), ids, 'of a frame');
  throwsArgument(() => idsOf('ids', [1, -2]), /ids\[1\] is -2, but must be a token id/);
  throwsArgument(() => idsOf('ids', [1.5]), /ids\[0\]/);
  throwsArgument(() => idsOf('ids', 5), /^ids must be a list of token ids or a Uint32Array, not 5\.$/);
  const noPrompt = (prompt: unknown) => () => promptOf(prompt as string);
  throwsArgument(noPrompt(null), /^prompt must be a string, a list of token ids or a Uint32Array, not null\.$/);
  throwsArgument(noPrompt(undefined), /not undefined\.$/);
  throwsArgument(noPrompt(Int32Array.of(1)), /or a Uint32Array, not \[object Int32Array\]\.$/);
  throwsArgument(() => idsOf('ids', [[1]]), /^ids\[0\] is \[object Array\], but must be a token id\.$/);
  assert.equal(layersOf(undefined), undefined);
  assert.deepEqual(layersOf([0, 2]), Uint32Array.of(0, 2));
  throwsArgument(() => layersOf(3), /^layers must be a list of layer numbers or a Uint32Array, not 3\.$/);
  throwsArgument(() => layersOf([0, -1]), /^layers\[1\] is -1, but must be a layer number\.$/);
  assert.equal(wholeNumber('step', undefined), undefined);
  assert.equal(wholeNumber('target', 2 ** 32 - 1), 2 ** 32 - 1);
  throwsArgument(() => wholeNumber('target', 2 ** 32), /^target is 4294967296, but must be a whole number from 0 to 4294967295\.$/);
});

test('signals: what only looks like one is refused, without AbortSignal.any too', (t) => {
  const { any } = AbortSignal;
  t.after(() => Object.defineProperty(AbortSignal, 'any', { value: any, configurable: true, writable: true }));
  for (const value of [any, undefined]) {
    Object.defineProperty(AbortSignal, 'any', { value, configurable: true, writable: true });
    const { signal } = new AbortController();
    assert.equal(signalOf(signal), signal);
    assert.equal(signalOf(undefined), undefined);
    for (const wrong of [null, 3, {}, { aborted: false, addEventListener() {} }, new EventTarget(), new AbortController()]) {
      throwsArgument(() => signalOf(wrong), /^signal must be an AbortSignal\.$/);
    }
  }
});

test('load: options and kinds of sources', () => {
  const { backend, cache, worker } = loadOptions({});
  assert.deepEqual([backend, cache, worker], ['auto', 'topk-lm', undefined]);
  assert.equal(loadOptions({ cache: false }).cache, null);
  assert.equal(loadOptions({ cache: 'mine' }).cache, 'mine');
  assert.equal(loadOptions({ wasmUrl: new URL('https://cdn.example/x.wasm') }).wasm, 'https://cdn.example/x.wasm');
  const bytes = Uint8Array.of(0, 1, 2);
  const { wasm } = loadOptions({ wasm: bytes.subarray(1) });
  bytes.fill(9);
  assert.deepEqual(wasm, Uint8Array.of(1, 2), 'a copy');
  for (const [options, pattern] of [
    [{ wasm: '/x.wasm' }, /wasm must be the bytes/],
    [{ wasm: bytes, wasmUrl: '/x.wasm' }, /wasm and wasmUrl are both given/],
    [{ backend: 'gpu' }, /backend is "gpu", but must be one of "auto", "webgpu", "cpu"/],
    [{ maxContext: 0 }, /maxContext is 0, but must be a whole number from 1 to 4294967295/],
    [{ threads: 0 }, /threads is 0, but must be a whole number from 1 to 16/],
    [{ threads: 17 }, /threads is 17, but/],
    [{ cache: 3 }, /cache/],
    [{ worker: 'yes' }, /worker/],
    [{ signal: {} }, /signal must be an AbortSignal/],
    [{ onProgress: 1 }, /onProgress must be a function/],
    [{ workerUrl: 'http://[' }, /workerUrl/],
  ] as const) {
    throwsArgument(() => loadOptions(options as LoadOptions), pattern);
  }
  assert.deepEqual(sourceOf('https://host.example/model'), { kind: 'url', url: 'https://host.example/model' });
  assert.deepEqual(sourceOf('./models/x'), { kind: 'path', path: './models/x' });
  assert.deepEqual(sourceOf(new URL('file:///models/x')), { kind: 'path', path: 'file:///models/x' });
  assert.equal(sourceOf({ 'config.json': new Uint8Array(2) }).kind, 'files');
  assert.equal(sourceOf([new File(['{}'], 'config.json')]).kind, 'files');
  for (const [wrong, shown] of [
    [3, '3'],
    [null, 'null'],
    ['', '""'],
    ['ftp://host.example/model', '"ftp://host.example/model"'],
    ['hf://owner/name', '"hf://owner/name"'],
  ] as const) {
    throwsArgument(
      () => sourceOf(wrong as unknown as ModelSource),
      new RegExp(`^The model is ${shown}, but must be an http\\(s\\) URL, owner/name on a hub, a list of files, or files by path`),
    );
  }
  throwsArgument(() => sourceOf([1] as unknown as ModelSource), /must hold files only/);
});

test('threads: without an isolated page, one', () => {
  assert.equal(threadsFor(undefined, undefined), 1);
  assert.equal(threadsFor(1, undefined), 1);
  const refused = /threads is 2, but only the worker of an isolated page \(Cross-Origin-Opener-Policy: .*\) can share memory with others/;
  throwsArgument(() => threadsFor(2, undefined), refused);
});

test('errors: each code has its class', () => {
  const classes = {
    config: TopKModelError,
    checkpoint: TopKModelError,
    tokenizer: TopKModelError,
    io: TopKModelError,
    argument: TopKArgumentError,
    edit: TopKArgumentError,
    hook: TopKArgumentError,
    context: TopKArgumentError,
    device: TopKDeviceError,
    'device-lost': TopKDeviceError,
    'out-of-memory': TopKDeviceError,
    'non-finite': TopKDeviceError,
    download: TopKDownloadError,
    integrity: TopKDownloadError,
    worker: TopKWorkerError,
    wasm: TopKWorkerError,
    internal: TopKWorkerError,
    aborted: TopKAbortError,
    disposed: TopKDisposedError,
  };
  for (const [code, Class] of Object.entries(classes)) {
    const error = toTopKError({ code, message: 'A sentence.' });
    assert.ok(error instanceof Class && error instanceof TopKError && error instanceof Error, code);
    assert.deepEqual([error.code, error.message], [code, 'A sentence.']);
  }
  assert.equal(toTopKError({ code: 'aborted', message: '' }).name, 'AbortError');
  assert.equal(toTopKError(new DOMException('stop', 'AbortError')).code, 'aborted');
  for (const thrown of [new Error('odd'), 'odd', { code: 'new-code', message: 'odd' }]) {
    const error = toTopKError(thrown);
    assert.deepEqual([error.code, error.message], ['internal', 'odd']);
  }
});
