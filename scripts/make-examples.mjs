// node scripts/make-examples.mjs NAME: the texts that Explore shows before the model is there, written and read by the model itself,
// into models/NAME/examples/: index.json with the texts, N.json with the active neurons of text N. Needs `npm run build` before it.
import fs from 'node:fs';
import path from 'node:path';
import { paths, show } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';

/** Prompts and seeds, fixed before looking. */
const TEXTS = [
  { title: 'A dog in the park', prompt: 'Tom had a big brown dog. One sunny day they went to the park', seed: 1 },
  { title: 'The little boat', prompt: 'A little boat lived by the sea. The water was blue and', seed: 2 },
  { title: 'A birthday cake', prompt: 'It was Lily’s birthday. Her mom made a cake with', seed: 3 },
  { title: 'The tall tree', prompt: 'In the garden there was a tall tree. A small bird', seed: 4 },
  { title: 'A cold night', prompt: 'It was a cold and dark night. The little girl was scared because', seed: 5 },
];
const NEW_TOKENS = 32;
const TEMPERATURE = 0.7;

await main(async () => {
  const name = process.argv[2];
  const folder = path.join(paths.models, name ?? '');
  if (!name || !fs.existsSync(path.join(folder, 'config.json')))
    throw new Failure('Name a folder in models/, for example Llama-TopK-Stories-9M.');
  const { TopKLM } = await import(new URL('../dist/npm/index.js', import.meta.url).href);
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  const statistics = await model.features.index().catch(() => null);
  const { n_layers, n_nontopk, topk_select, d_model } = model.config;
  const layers = Array.from({ length: n_layers - n_nontopk }, (_, layer) => layer);
  const out = path.join(folder, 'examples');
  fs.mkdirSync(out, { recursive: true });
  const texts = [];
  for (const [place, { title, prompt, seed }] of TEXTS.entries()) {
    const start = await model.tokenizer.encode(prompt);
    const ids = [...start];
    for await (const { id } of model.generate(start, { seed, temperature: TEMPERATURE, maxTokens: NEW_TOKENS, ignoreEos: false }))
      ids.push(id);
    const { hooks } = await model.run(ids, { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`), logits: 'none' });
    const rows = layers.map((layer) => ({ layer, ...hooks[`blocks.${layer}.hook_topk_out`] }));
    texts.push({ title, ids, prompt_length: start.length, neuron: worthALook(rows, statistics) });
    const file = path.join(out, `${place}.json`);
    const stored = rows.map(({ layer, rowStart, indices, values }) => ({
      layer,
      row_start: [...rowStart],
      indices: [...indices],
      values: [...values].map((value) => Number(value.toPrecision(3))),
    }));
    fs.writeFileSync(file, JSON.stringify({ select: topk_select, d_model, layers: stored }));
    console.log(show(file), await model.tokenizer.decode(ids));
  }
  fs.writeFileSync(
    path.join(out, 'index.json'),
    JSON.stringify({ format: 1, model: name, temperature: TEMPERATURE, seeds: TEXTS.map(({ seed }) => seed), texts }),
  );
  await model.dispose();
  console.log(show(path.join(out, 'index.json')));
});

/**
 * The neuron that a text opens with: active at 2 to 8 of its tokens after the first, and reaching the largest share of its maximum over the
 * corpus (without statistics: the largest value); of statistics, token entropy at most 3 bits and not rare.
 */
function worthALook(rows, statistics) {
  let best = { score: -1, neuron: [0, 0] };
  for (const { layer, rowStart, indices, values } of rows) {
    const found = new Map();
    for (let i = rowStart[1]; i < indices.length; i++) {
      if (values[i] <= 0) continue;
      const seen = found.get(indices[i]) ?? { count: 0, max: 0 };
      found.set(indices[i], { count: seen.count + 1, max: Math.max(seen.max, values[i]) });
    }
    for (const [index, { count, max }] of found) {
      if (count < 2 || count > 8) continue;
      const score = scoreOf(statistics, layer, index, max);
      if (score > best.score) best = { score, neuron: [layer, index] };
    }
  }
  return best.neuron;
}

function scoreOf(statistics, layer, index, max) {
  if (!statistics) return max;
  const entry = statistics.layers.indexOf(layer) * statistics.dModel + index;
  const { tokenEntropy, n, max: maxima } = statistics.columns;
  if (n[entry] < statistics.entropy.rareBelow || tokenEntropy[entry] === null || tokenEntropy[entry] > 3) return -1;
  return max / maxima[entry];
}
