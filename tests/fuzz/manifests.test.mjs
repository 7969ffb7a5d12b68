// Manifests and lists of shards: whatever they hold, there is a result or a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedJson, changedText } from './random.mjs';
import { fuzz, isFine } from './run.mjs';
import { sources } from './sources.mjs';

const { TopKError, parseManifest, shardNames, isInside, UrlFiles, FakeServer } = sources;

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
  fuzz(t, 'manifests', async (random) => {
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
