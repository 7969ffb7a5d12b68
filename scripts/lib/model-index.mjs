// models/ → what the site offers to choose from, with index.json, which lists it.
import fs from 'node:fs';
import path from 'node:path';

const read = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const isWeights = (name) => /\.(safetensors|json)$/.test(name);

/** Copies the models into the site's folder, with their list; what the folder held before is no longer offered. */
export function copyModels(from, to) {
  fs.rmSync(to, { recursive: true, force: true });
  const filter = (file) => !['.mjs', '.part'].includes(path.extname(file)); // the manifests' own script stays there, and what was cut off
  fs.cpSync(from, to, { recursive: true, filter });
  fs.writeFileSync(path.join(to, 'index.json'), JSON.stringify(modelIndex(to)));
}

/** The model folders with a manifest; the one that the site opens with first: a TopK model, with statistics and training steps if there is one. */
export function modelIndex(root) {
  const models = fs
    .readdirSync(root)
    .filter((name) => fs.existsSync(path.join(root, name, 'manifest.json')))
    .map((name) => ({
      ...entryOf(name, read(path.join(root, name, 'manifest.json')), read(path.join(root, name, 'config.json'))),
      saes: saesOf(path.join(root, name), read(path.join(root, name, 'manifest.json'))),
      examples: fs.existsSync(path.join(root, name, 'examples/index.json')),
      continuations: fs.existsSync(path.join(root, name, 'continuations.json')),
      steered: fs.existsSync(path.join(root, name, 'steered.json')),
      topics: fs.existsSync(path.join(root, name, 'topics.json')),
      start: fs.existsSync(path.join(root, name, 'start.json')),
      challenges: fs.existsSync(path.join(root, name, 'challenges.json')),
    }));
  const rank = ({ kind, features, steps }) => (kind === 'topk' ? 0 : 4) + (features ? 0 : 2) + (steps.length > 0 ? 0 : 1);
  return { models: models.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1)) };
}

function entryOf(name, manifest, config) {
  const bytesUnder = (folder) =>
    manifest.files
      .filter(({ path: file }) => path.posix.dirname(file) === (folder || '.') && isWeights(file))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    name,
    kind: config.topk_k ? 'topk' : 'dense',
    bytes: bytesUnder(''),
    steps: manifest.steps.map((step) => ({ step, bytes: bytesUnder(`step${step}`) })),
    dense_twin: manifest.dense_twin === undefined ? null : path.posix.basename(manifest.dense_twin),
    features: manifest.features !== undefined,
  };
}

/** What a reader is told of each autoencoder before anything of it is fetched. */
function saesOf(folder, { saes = [], files }) {
  return saes.map((sae) => {
    const { architecture, d_sae: width, metadata } = read(path.join(folder, sae, 'cfg.json'));
    const bytes = files.filter(({ path: file }) => path.posix.dirname(file) === sae).reduce((sum, file) => sum + file.bytes, 0);
    return { path: sae, bytes, kind: architecture, hook: metadata.hook_name, width };
  });
}
