// Share links and saved files, statistics, manifests and shard lists: whatever they hold, there is a result or a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedJson, changedText } from './random.mjs';
import { fuzz, isFine } from './run.mjs';
import { sources } from './sources.mjs';

const { TopKError, Features, parseManifest, shardNames, isInside, UrlFiles, featureFiles, FakeServer } = sources;
const { readAddress, readFile, linkOf, fileOf, formatRoute } = sources;
const encode = (text) => new TextEncoder().encode(text);

const LINKS = [
  '',
  '#/explore?t=AQIDBAU&n=2.277&at=3',
  '#/steer?t=AQIDBAU&e=2.277_clamp_14_in_generated_from*0.1_ablate_0&seed=1&temp=0.8&len=40&b=AQID&s=AQIE&pl=2',
  '#/m/Llama-TopK-Stories-16M/2/277?ckpt=254&vs=1.5',
  '#/trace?ckpt=254&model=https%3A%2F%2Fhost.example%2Fm%2F',
  '#/browse?q=food&sort=entropy',
];

test('share links and saved files', (t) =>
  fuzz(t, 'links', 40_000, (random) => {
    const hash = changedText(random, random.pick(LINKS));
    const sentences = ({ route, errors }) => {
      for (const error of errors) assert.ok(error.length > 0 && error.length <= 300, `a sentence of ${error.length} characters`);
      return route;
    };
    const route = sentences(readAddress(hash, 'This link'));
    const link = linkOf(route, 'model').hash;
    sentences(readAddress(link, 'This link'));
    assert.equal(formatRoute(readAddress(formatRoute(route, 'model'), 'x').route, 'model'), formatRoute(route, 'model'));
    const file = fileOf(route, 'model', { more: 1 });
    sentences(readFile('a.json', JSON.stringify(random.chance(0.5) ? file : changedJson(random, file))));
    if (random.chance(0.2)) sentences(readFile('a'.repeat(random.below(500)), changedText(random, JSON.stringify(file))));
  }));

const FOLDER = Object.entries({ 'config.json': '{}', 'model.safetensors': '', ...featureFiles() });
const STATISTICS = FOLDER.filter(([path]) => path.startsWith('features/')).map(([path, text]) => ({ path, text, json: JSON.parse(text) }));
/** Made once: reading a Blob takes most of a run. */
const BLOBS = Object.fromEntries(FOLDER.map(([path, text]) => [path, new Blob([text])]));

/** The calls that read a file; all of them read the index. */
function readersOf(path, features, random) {
  const [, layer, start] = /layer(\d+)\/(\d+)\.json$/.exec(path) ?? [];
  const neuron = () => features.neuron(Number(layer ?? 2), Number(start ?? 0) + random.below(start === '3' ? 1 : 3));
  const calls = { index: () => features.index(), neuron, columns: () => features.steps(), clusters: () => features.clusters() };
  if (path.endsWith('index.json')) return Object.values(calls);
  return [layer === undefined ? calls[/(\w+)\.json$/.exec(path)[1]] : neuron];
}

test('statistics', (t) =>
  fuzz(t, 'features', 5_000, async (random) => {
    const { path, text, json } = random.pick(STATISTICS);
    const changed = random.chance(0.8) ? JSON.stringify(changedJson(random, json)) : changedText(random, text);
    const features = Features.open({ ...BLOBS, [path]: encode(changed) });
    for (const call of readersOf(path, features, random)) await call().catch((error) => isFine(error, TopKError));
  }));

const MANIFEST = {
  format: 1,
  files: ['config.json', 'model.safetensors.index.json', 'model-1.safetensors', 'step10/model.safetensors'].map((path) => ({
    path,
    bytes: 5,
    sha256: 'ab'.repeat(32),
  })),
  steps: [10, 20],
};
const INDEX = { metadata: {}, weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } };

test('manifests and lists of shards', (t) =>
  fuzz(t, 'manifests', 30_000, async (random) => {
    const changed = (value) =>
      random.chance(0.7) ? JSON.stringify(changedJson(random, value)) : changedText(random, JSON.stringify(value));
    const [manifest, index] = [changed(MANIFEST), changed(INDEX)];
    try {
      const { files, steps } = parseManifest(manifest, 'manifest.json');
      for (const path of files.keys()) assert.ok(isInside(path));
      assert.ok(steps.every((step) => Number.isSafeInteger(step) && step >= 0));
    } catch (error) {
      isFine(error, TopKError);
    }
    for (const name of shardNames(index)) assert.ok(isInside(name));
    if (!random.chance(0.1)) return;
    const server = new FakeServer().put('config.json', '{}').put('model.safetensors.index.json', index).put('model-1.safetensors', 'abcde');
    server.put('manifest.json', random.chance(0.5) ? manifest : '');
    if (random.chance(0.5)) server.files.delete('manifest.json');
    const files = await UrlFiles.create('https://host.example/m/', null, server);
    const context = { signal: new AbortController().signal, onProgress: () => {} };
    await files
      .open('', context)
      .then((folder) => folder.complete())
      .catch((error) => isFine(error, TopKError));
  }));
