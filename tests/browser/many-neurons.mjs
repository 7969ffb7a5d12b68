// Statistics of 30,000 neurons for the tests and the benchmark of Browse: the shipped model's, over and over, or what a test says.
import { createHash } from 'node:crypto';

export const LAYERS = 6;
export const D = 5000;

/**
 * An index of LAYERS × D neurons.
 * @param real features/index.json of the shipped model
 * @param {Record<string, (entry: number) => unknown>} [columns] the columns that differ from the real ones
 */
export function manyNeurons(real, columns = {}) {
  const column = (name) => {
    const values = real.columns[name];
    const of = columns[name] ?? ((entry) => values[entry % values.length]);
    return Array.from({ length: LAYERS * D }, (_, entry) => of(entry));
  };
  return {
    ...real,
    d_model: D,
    layers: Array.from({ length: LAYERS }, (_, layer) => layer),
    columns: Object.fromEntries(Object.keys(real.columns).map((name) => [name, column(name)])),
  };
}

/** Answers with an index instead of the shipped model's own: for a server's `intercept`. */
export const serveNeurons = (model, index) => serveFiles(model, { 'features/index.json': index });

/** Answers with values instead of the shipped model's own JSON files, by path: for a server's `intercept`. */
export function serveFiles(model, values) {
  const manifest = model.read('manifest.json');
  const answers = {};
  for (const [path, value] of Object.entries(values)) {
    const body = JSON.stringify(value);
    const known = { path, bytes: Buffer.byteLength(body), sha256: createHash('sha256').update(body).digest('hex') };
    const file = manifest.files.find((entry) => entry.path === path);
    if (file) Object.assign(file, known);
    else manifest.files.push(known);
    answers[path] = body;
  }
  answers['manifest.json'] = JSON.stringify(manifest);
  return (request, response) => {
    const answer = answers[decodeURIComponent(request.url).split(`/models/${model.name}/`)[1]];
    if (answer === undefined) return false;
    response.setHeader('content-type', 'application/json');
    response.end(answer);
    return true;
  };
}
