/** A small features/ folder: 2 layers of 4 neurons, 2 training steps, 3 neurons a file. */

const D = 4;
const LAYERS = [0, 2];
const column = <T>(value: (layer: number, index: number) => T): T[] =>
  LAYERS.flatMap((layer) => Array.from({ length: D }, (_, index) => value(layer, index)));

/** The neuron that never fires, in every layer. */
export const DEAD = 3;

export function indexFile(more: object = {}): object {
  const unlessDead = (value: number) => column((_, index) => (index === DEAD ? null : value));
  return {
    format: 1,
    model: 'tiny',
    kind: 'topk',
    d_model: D,
    layers: LAYERS,
    topk_k: 2,
    step: 20,
    corpus: { files: ['a.txt'], documents: 2, tokens: 30, positions: 26, sha256: '0'.repeat(64) },
    entropy: { n: 100, rare_below: 20 },
    clusters: { file: 'clusters.json', threshold: 0.6, count: 2, source: '../twin' },
    shards: { per_file: 3, path: 'layer{layer}/{start}.json' },
    columns: {
      density: column((layer, index) => (index === DEAD ? 0 : 0.25 + layer / 10)),
      max: unlessDead(4),
      mean: unlessDead(2),
      n: column((_, index) => (index === DEAD ? 0 : 26)),
      token_entropy: unlessDead(1.5),
      semantic_entropy: unlessDead(1),
      next_entropy: unlessDead(2),
      top_tokens: column((_, index) => (index === DEAD ? [] : [5, 6, 7])),
      promoted: column(() => [1, 2, 3]),
      suppressed: column(() => [4, 5, 6]),
      label: column((layer, index) => `L${layer} N${index}`),
      emergence: unlessDead(10),
      similarity: unlessDead(0.5),
    },
    emergence_js: 0.5,
    steps: [10, 20],
    ...more,
  };
}

export function record(layer: number, index: number): object {
  const example = { doc: 0, pos: 3, value: 4, start: 2, ids: [8, 5, 9], acts: [[1, 4]] };
  return {
    index,
    density: 0.25 + layer / 10,
    max: 4,
    mean: 2,
    n: 26,
    token_entropy: 1.5,
    semantic_entropy: 1,
    next_entropy: 2,
    label: `L${layer} N${index}`,
    emergence: 10,
    histogram: { max: 4, counts: [1, 2, 3] },
    tokens: [[5, 20]],
    clusters: [[0, 26]],
    next_tokens: [[9, 26]],
    promoted: [[1, 0.5]],
    suppressed: [[4, -0.5]],
    layers: [[layer === 0 ? 2 : 0, 0.5]],
    examples: { top: [example], quantiles: [{ from: 0.75, to: 1, examples: [example] }], random: [] },
  };
}

const SCALARS = ['density', 'max', 'n', 'token_entropy', 'semantic_entropy', 'js_to_final'];

/** A number that tells which scalar, step and neuron it belongs to. */
const scalar = (place: number, step: number, layer: number, index: number) =>
  index === DEAD ? null : place * 100 + step * 10 + layer + index / 10;

/** All files by path relative to the model folder. */
export function featureFiles(): Record<string, string> {
  const files: Record<string, object> = {
    'index.json': indexFile(),
    'clusters.json': { format: 1, threshold: 0.6, source: '../twin', cluster: [0, 0, 1], linkage: 'average' },
    'steps/columns.json': {
      format: 1,
      steps: [10, 20],
      layers: LAYERS,
      columns: Object.fromEntries(
        SCALARS.map((name, place) => [name, [1, 2].map((step) => column((layer, index) => scalar(place, step, layer, index)))]),
      ),
    },
  };
  for (const layer of LAYERS) {
    for (let start = 0; start < D; start += 3) {
      const indices = [start, start + 1, start + 2].filter((index) => index < D);
      files[`layer${layer}/${start}.json`] = { format: 1, layer, start, neurons: indices.map((index) => record(layer, index)) };
      const tokens = (index: number) => [[[index, 1]], [[index, 2]]];
      files[`steps/layer${layer}/${start}.json`] = {
        format: 1,
        layer,
        start,
        neurons: indices.map((index) => ({
          index,
          tokens: tokens(index),
          ...Object.fromEntries(SCALARS.map((name, place) => [name, [1, 2].map((step) => scalar(place, step, layer, index))])),
        })),
      };
    }
  }
  return Object.fromEntries(Object.entries(files).map(([path, json]) => [`features/${path}`, JSON.stringify(json)]));
}
