import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TopKError } from '../src/errors.ts';
import { Features } from '../src/features.ts';
import { marker } from '../src/features/beginnings.ts';
import { UrlFiles } from '../src/sources/url.ts';
import { installCaches } from './support/caches.ts';
import { featureFiles, indexFile, record } from './support/features.ts';
import { FakeServer } from './support/server.ts';

const encode = (text: string) => new TextEncoder().encode(text);

/** The features of a folder given as bytes. */
function open(files: Record<string, string>): Features {
  return Features.open(
    Object.fromEntries(Object.entries({ 'config.json': '{}', 'model.safetensors': '', ...files }).map(([k, v]) => [k, encode(v)])),
  );
}

const rejectsWith = (promise: Promise<unknown>, code: string, pattern: RegExp) =>
  assert.rejects(promise, (error) => error instanceof TopKError && error.code === code && pattern.test(error.message));

test('the index: keys in camelCase, missing values null', async () => {
  const { columns, dModel, layers, entropy, emergenceJs } = await open(featureFiles()).index();
  assert.deepEqual([dModel, layers, entropy, emergenceJs], [4, [0, 2], { n: 100, rareBelow: 20 }, 0.5]);
  assert.deepEqual(columns.tokenEntropy, [1.5, 1.5, 1.5, null, 1.5, 1.5, 1.5, null]);
  assert.deepEqual(columns.topTokens[4], [5, 6, 7]);
  assert.equal(columns.label[6], 'L2 N2');
  assert.equal(columns.tail, undefined);
});

test('a neuron: its record of the right file, and its training', async () => {
  const neuron = await open(featureFiles()).neuron(2, 1);
  assert.equal(neuron.layer, 2);
  assert.equal(neuron.index, 1);
  assert.equal(neuron.label, 'L2 N1');
  assert.deepEqual(neuron.nextTokens, [[9, 26]]);
  assert.deepEqual(neuron.examples.top[0]?.acts, [[1, 4]]);
  assert.deepEqual(
    neuron.steps.map(({ step, density, jsToFinal, tokens }) => ({ step, density, jsToFinal, tokens })),
    [
      { step: 10, density: 12.1, jsToFinal: 512.1, tokens: [[1, 1]] },
      { step: 20, density: 22.1, jsToFinal: 522.1, tokens: [[1, 2]] },
    ],
  );
  assert.equal((await open(featureFiles()).neuron(0, 3)).index, 3, 'the second file of a layer');
});

test('without checkpoints a neuron has no training, and steps() is null', async () => {
  const features = open({ ...featureFiles(), 'features/index.json': JSON.stringify(indexFile({ steps: [], clusters: null })) });
  assert.deepEqual((await features.neuron(0, 0)).steps, []);
  assert.equal(await features.steps(), null);
  assert.equal(await features.clusters(), null);
});

test('labels mark the tokens that begin a longer word', async () => {
  const mark = marker(['kn', 'Wh', 'reads']);
  assert.equal(mark('reads kn, know, …kn +2? · writes Wh, kn?'), 'reads kn…, know, …kn +2? · writes Wh…, kn…?');
  assert.equal(mark('“kn”'), '“kn…”');
  assert.equal(mark('reads after “kn”: wh, .'), 'reads after “kn…”: wh, .');
  assert.equal(mark('reads mixed: kn, ,'), 'reads mixed: kn…, ,');
  assert.equal(mark(null), null);
  const label = (text: string) => ({ label: text, stable: true });
  const reads = { ...label('kn'), f1: 1, recall: 1, precision: 1, explained: 1, detection: 1, places: {} };
  const shares = [{ share: 0.1, n: 100, token_entropy: 1, label: 'kn, dog', f1: 1, tokens: [] }];
  const column = Array<string>(8).fill('reads kn');
  const { columns } = indexFile() as { columns: object };
  const features = open({
    ...featureFiles(),
    'features/index.json': JSON.stringify(indexFile({ format: 2, beginnings: ['kn'], columns: { ...columns, label: column } })),
    'features/layer0/0.json': JSON.stringify({
      ...{ format: 2, layer: 0, start: 0 },
      neurons: [{ ...record(0, 0), label: 'reads kn', reads: { ...reads, shares } }],
    }),
  });
  assert.equal((await features.index()).columns.label[7], 'reads kn…');
  const neuron = await features.neuron(0, 0);
  assert.deepEqual([neuron.label, neuron.reads?.label, neuron.reads?.shares[0]?.label], ['reads kn…', 'kn…', 'kn…, dog']);
});

test('format 2: what neurons read and write', async () => {
  const label = { label: 'dog', stable: true };
  const reads = {
    ...label,
    ...{ f1: 0.5, recall: 0.4, precision: 0.8, explained: 0.6, detection: 0.7 },
    shares: [{ share: 0.1, n: 100, token_entropy: 1.5, label: 'dog', f1: 0.5, tokens: [[5, 100]] }],
    places: { sentence_start: 2, quoted: null },
  };
  const writes = {
    ...label,
    ...{ value: 3, kl: 0.1, kl_stronger: 0.4, specificity: 2, steer: { value: 6, surprise: 1.2 } },
    ...{ up: [[1, 2]], down: [], up_stronger: [[1, 3]], contrasts: [[0, 1.5, null]] },
  };
  const column = <T>(value: T): T[] => Array.from({ length: 8 }, () => value);
  const columns = { ...(indexFile() as { columns: object }).columns, reads: column('dog'), reads_f1: column(0.5), writes_up: column([1]) };
  const shard = {
    format: 2,
    layer: 0,
    start: 0,
    neurons: [
      { ...record(0, 0), reads, writes },
      { ...record(0, 1), reads: null, writes: null },
    ],
  };
  const files = {
    ...featureFiles(),
    'features/index.json': JSON.stringify(indexFile({ format: 2, columns })),
    'features/layer0/0.json': JSON.stringify(shard),
  };
  const features = open(files);
  assert.deepEqual((await features.index()).columns.writesUp?.[3], [1]);
  const neuron = await features.neuron(0, 0);
  assert.deepEqual([neuron.reads?.shares[0]?.tokenEntropy, neuron.reads?.places.sentenceStart], [1.5, 2]);
  assert.deepEqual([neuron.writes?.steer?.value, neuron.writes?.klStronger], [6, 0.4]);
  assert.equal((await features.neuron(0, 1)).writes, null);
  const wrong = { ...shard, neurons: [{ ...record(0, 0), reads: { ...reads, f1: 'x' } }] };
  await rejectsWith(open({ ...files, 'features/layer0/0.json': JSON.stringify(wrong) }).neuron(0, 0), 'features', /neuron 0: reads/);
});

test('clusters and steps', async () => {
  const features = open(featureFiles());
  assert.deepEqual((await features.clusters())?.cluster, [0, 0, 1]);
  assert.equal((await features.steps())?.columns.jsToFinal[1]?.[4], 522);
});

test('a folder without features, and neurons that do not exist', async () => {
  await rejectsWith(open({}).neuron(0, 0), 'no-features', /topk-lm analyze/);
  const features = open(featureFiles());
  await rejectsWith(features.neuron(1, 0), 'argument', /layers 0, 2/);
  await rejectsWith(features.neuron(0, 4), 'argument', /below 4/);
  await rejectsWith(features.neuron(0.5, 0), 'argument', /layer is 0\.5/);
  const keep = { keep: true } as object;
  await rejectsWith(features.neuron(0, 1, keep), 'argument', /"keep" is no option of index, neuron, steps and clusters; there are signal/);
});

test('files that can no longer be read are an error of the disk', async () => {
  for (const broken of ['features/index.json', 'features/layer0/0.json']) {
    const files = new Map(Object.entries(featureFiles()).map(([path, text]) => [path, new Blob([text])]));
    const file = files.get(broken) as Blob;
    file.text = async () => {
      throw new DOMException('The requested file could not be read.', 'NotReadableError');
    };
    await rejectsWith(
      new Features({ kind: 'files', files }, null).neuron(0, 0),
      'io',
      new RegExp(`^${broken} can no longer be read \\(NotReadableError.*\\); try again, or choose the folder again\\.$`),
    );
  }
});

test('damaged files are named', async () => {
  const files = featureFiles();
  const wrong = (path: string, content: unknown) =>
    open({ ...files, [path]: typeof content === 'string' ? content : JSON.stringify(content) });
  await rejectsWith(wrong('features/index.json', '{').index(), 'features', /features\/index\.json: not valid JSON/);
  await rejectsWith(wrong('features/index.json', indexFile({ format: 3 })).index(), 'features', /format is 3/);
  await rejectsWith(wrong('features/index.json', indexFile({ d_model: 5 })).index(), 'features', /columns\.density/);
  await rejectsWith(wrong('features/index.json', indexFile({ shards: { per_file: 3, path: '../{layer}' } })).index(), 'features', /shards/);
  const none = Object.fromEntries(Object.keys((indexFile() as { columns: object }).columns).map((name) => [name, []]));
  const huge = indexFile({ d_model: 300_000_000, layers: [], columns: none });
  await rejectsWith(wrong('features/index.json', huge).index(), 'features', /index\.json: layers is not what/);
  for (const [from, to] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const deep = `${from.repeat(100_000)}1${to.repeat(100_000)}`;
    const inLayer = wrong('features/layer0/0.json', `{"format":1,"layer":0,"neurons":[{"index":0,"tokens":${deep}}]}`);
    await rejectsWith(inLayer.neuron(0, 0), 'features', /layer0\/0\.json: objects or lists are more than 64 deep/);
  }
  const shard = { format: 1, layer: 0, start: 0, neurons: [{ ...record(0, 0), examples: {} }] };
  await rejectsWith(wrong('features/layer0/0.json', shard).neuron(0, 0), 'features', /layer0\/0\.json: neuron 0: examples/);
  await rejectsWith(wrong('features/layer0/0.json', shard).neuron(0, 1), 'features', /neuron 1 is missing/);
  const far = {
    ...record(0, 0),
    examples: { top: [{ doc: 0, pos: 0, value: 1, start: 0, ids: [1], acts: [[1, 2]] }], quantiles: [], random: [] },
  };
  await rejectsWith(
    wrong('features/layer0/0.json', { format: 1, layer: 0, start: 0, neurons: [far] }).neuron(0, 0),
    'features',
    /examples/,
  );
  const { 'features/layer0/0.json': _, ...without } = files;
  await rejectsWith(open(without).neuron(0, 0), 'features', /features\/layer0\/0\.json is missing/);
});

test('texts and lists that a page cannot show, and entries that come twice, are refused', async () => {
  const files = featureFiles();
  const columns = (indexFile() as { columns: Record<string, unknown[]> }).columns;
  const index = (more: object) => open({ ...files, 'features/index.json': JSON.stringify(indexFile(more)) }).index();
  const long = 'x'.repeat(1025);
  const column = (name: string, value: unknown) =>
    index({ columns: { ...columns, [name]: columns[name]?.map((old, at) => (at === 5 ? value : old)) } });
  assert.equal((await column('label', 'x'.repeat(1024))).columns.label[5]?.length, 1024);
  await rejectsWith(column('label', long), 'features', /^features\/index\.json: columns\.label is not what/);
  await rejectsWith(column('top_tokens', Array(1025).fill(1)), 'features', /columns\.topTokens is not what/);
  await rejectsWith(index({ model: long }), 'features', /index\.json: model is not what/);
  await rejectsWith(index({ layers: [2, 0] }), 'features', /index\.json: layers is not what/);
  await rejectsWith(index({ layers: [0, 0] }), 'features', /index\.json: layers is not what/);
  await rejectsWith(index({ steps: [20, 10] }), 'features', /index\.json: steps is not what/);
  await rejectsWith(index({ steps: [10, 10] }), 'features', /index\.json: steps is not what/);
  const steps = (length: number) => Array.from({ length }, (_, step) => step);
  assert.equal((await index({ steps: steps(4096) })).steps.length, 4096);
  await rejectsWith(index({ steps: steps(4097) }), 'features', /index\.json: steps is not what/);

  const plain = record(0, 0) as { examples: { top: object[] } };
  const neuron = (more: object) => {
    const shard = { format: 2, layer: 0, start: 0, neurons: [{ ...plain, ...more }] };
    return open({ ...files, 'features/layer0/0.json': JSON.stringify(shard) }).neuron(0, 0);
  };
  const [example] = plain.examples.top;
  const part = { from: 0.75, to: 1, examples: [] };
  const reads = {
    label: 'dog',
    stable: true,
    f1: 1,
    recall: 1,
    precision: 1,
    explained: 1,
    detection: 1,
    shares: [],
    places: { quoted: null },
  };
  const top = (more: object) => ({ examples: { ...plain.examples, top: [{ ...example, ...more }] } });
  assert.equal((await neuron({ reads })).reads?.places.quoted, null);
  for (const [name, more] of [
    ['label', { label: long }],
    [
      'tokens',
      {
        tokens: [
          [5, 20],
          [5, 3],
        ],
      },
    ],
    [
      'nextTokens',
      {
        next_tokens: [
          [9, 26],
          [9, 26],
        ],
      },
    ],
    [
      'promoted',
      {
        promoted: [
          [1, 0.5],
          [1, 0.4],
        ],
      },
    ],
    [
      'suppressed',
      {
        suppressed: [
          [4, -0.5],
          [4, -0.5],
        ],
      },
    ],
    [
      'layers',
      {
        layers: [
          [2, 0.5],
          [2, 0.5],
        ],
      },
    ],
    ['reads', { reads: { ...reads, label: long } }],
    ['reads', { reads: { ...reads, places: { quoted: 'often' } } }],
    ['reads', { reads: { ...reads, places: { quoted: { times: 2 } } } }],
    ['histogram', { histogram: { max: 4, counts: Array(1025).fill(1) } }],
    ['examples', { examples: { ...plain.examples, quantiles: [part, part] } }],
    ['examples', { examples: { ...plain.examples, top: Array(101).fill(example) } }],
    ['examples', top({ ids: Array(1025).fill(1) })],
  ] as const) {
    await rejectsWith(neuron(more), 'features', new RegExp(`^features/layer0/0\\.json: neuron 0: ${name} is not what the format says`));
  }
  assert.equal((await neuron({ histogram: { max: 4, counts: Array(1024).fill(1) } })).histogram.counts.length, 1024);
});

test('statistics of another model are refused where the model is known', async () => {
  const files = new Map(Object.entries(featureFiles()).map(([path, text]) => [path, new Blob([text])]));
  const of = (d_model: number, n_layers: number) => new Features({ kind: 'files', files }, null, { d_model, n_layers });
  assert.equal((await of(4, 3).index()).dModel, 4);
  await rejectsWith(of(8, 3).index(), 'features', /features\/index\.json: d_model is 4, but the model's is 8/);
  await rejectsWith(of(4, 2).neuron(0, 0), 'features', /layers has 2, but the model's are 0 to 1/);
});

test('a signal ends the call; the next one works', async () => {
  const features = open(featureFiles());
  await rejectsWith(features.neuron(0, 0, { signal: AbortSignal.abort() }), 'aborted', /aborted/);
  const controller = new AbortController();
  const call = features.index({ signal: controller.signal });
  controller.abort();
  await rejectsWith(call, 'aborted', /aborted/);
  assert.equal((await features.neuron(0, 0)).index, 0);
});

test('from a server: only what is asked for, verified, then from the cache', async (t) => {
  installCaches(t);
  const server = new FakeServer().put('config.json', '{}').put('model.safetensors', 'weights');
  for (const [path, text] of Object.entries(featureFiles())) server.put(path, text);
  server.putManifest({ features: 'features' });
  const signal = new AbortController().signal;
  const read = async () => {
    const files = await UrlFiles.create('https://host.example/m/', 'name', server);
    return (await files.file('features/layer0/0.json', signal))?.text();
  };
  assert.equal(await read(), featureFiles()['features/layer0/0.json']);
  assert.deepEqual(
    server.log.map(({ path }) => path),
    ['manifest.json', 'features/layer0/0.json'],
  );
  server.log.length = 0;
  assert.equal(await read(), featureFiles()['features/layer0/0.json']);
  assert.deepEqual(
    server.log.map(({ path }) => path),
    ['manifest.json'],
  );
  const files = await UrlFiles.create('https://host.example/m/', 'name', server);
  assert.equal(await files.file('features/layer9/0.json', signal), undefined);
  // Refused, but not said to be without a network: what is stored is not asked for again and again.
  server.offline = true;
  server.online = () => true;
  assert.equal(await read(), featureFiles()['features/layer0/0.json']);
  assert.deepEqual(server.pauses, []);
});

test('a file that the browser is to keep: an error where it does not, which says why', async (t) => {
  const server = new FakeServer().put('config.json', '{}').put('model.safetensors', 'weights').putManifest();
  t.mock.method(globalThis, 'fetch', server.fetch);
  const open = (cache?: boolean) => Features.open('https://host.example/m/', cache === undefined ? {} : { cache });
  await rejectsWith(open(false).file('model.safetensors', { keep: true }), 'io', /switched off/);
  const caches = installCaches(t);
  const features = open();
  caches.quota = 0;
  assert.equal(await (await features.file('model.safetensors'))?.text(), 'weights');
  await rejectsWith(features.file('model.safetensors', { keep: true }), 'io', /storage for this site is full/);
  caches.quota = Number.POSITIVE_INFINITY;
  assert.equal(await (await features.file('model.safetensors', { keep: true }))?.text(), 'weights');
  assert.equal(await features.file('absent.json', { keep: true }), undefined);
  const wrong = features.file('config.json', { keep: 1 } as unknown as { keep: boolean });
  await rejectsWith(wrong, 'argument', /^keep is 1, but must be true or false/);
});

test('calls that overlap read each file once, also where one of them is aborted', async (t) => {
  const server = new FakeServer().put('config.json', '{}').put('model.safetensors', 'weights');
  for (const [path, text] of Object.entries(featureFiles())) server.put(path, text);
  server.putManifest();
  t.mock.method(globalThis, 'fetch', server.fetch);
  const features = Features.open('https://host.example/m/', { cache: false });
  await features.index();
  const controller = new AbortController();
  server.onChunk = () => controller.abort();
  const aborted = features.neuron(0, 0, { signal: controller.signal });
  const others = Promise.all([features.neuron(0, 1), features.neuron(0, 2), features.neuron(0, 1)]);
  await rejectsWith(aborted, 'aborted', /aborted/);
  assert.deepEqual(
    (await others).map(({ index }) => index),
    [1, 2, 1],
  );
  await features.neuron(0, 0);
  for (const path of ['features/layer0/0.json', 'features/steps/layer0/0.json']) assert.equal(server.gets(path).length, 1, path);
});

test('a file that is not what the manifest says is refused', async (t) => {
  installCaches(t);
  const server = new FakeServer().put('config.json', '{}').put('features/index.json', 'one').putManifest();
  server.put('features/index.json', 'two');
  const files = await UrlFiles.create('https://host.example/m/', 'name', server);
  await rejectsWith(files.file('features/index.json', new AbortController().signal), 'integrity', /SHA-256 differs/);
});
