// Statistics: whatever a file of features/ holds, there is a result or a sentence.
import { test } from 'node:test';
import { changedJson, changedText } from './random.mjs';
import { fuzz, isFine } from './run.mjs';
import { sources } from './sources.mjs';

const { TopKError, Features, featureFiles } = sources;
const encode = (text) => new TextEncoder().encode(text);

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
  fuzz(t, 'features', async (random) => {
    const { path, text, json } = random.pick(STATISTICS);
    const changed = random.chance(0.8) ? JSON.stringify(changedJson(random, json)) : changedText(random, text);
    const features = Features.open({ ...BLOBS, [path]: encode(changed) });
    for (const call of readersOf(path, features, random)) await call().catch((error) => isFine(error, TopKError));
  }));
