// node scripts/make-examples.mjs NAME: makes the texts that Explore shows before the model is loaded. The model itself writes and reads
// them; models/NAME/examples/ gets index.json with the texts and N.json with the active neurons of text N. Run `npm run build` first.
import fs from 'node:fs';
import path from 'node:path';
import { paths, show } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';
import { writeWhole } from './lib/write.mjs';

/** Prompts and seeds, fixed before looking. */
const TEXTS = [
  { title: 'A dog in the park', prompt: 'Tom had a big brown dog. One sunny day they went to the park', seed: 1 },
  { title: 'The little boat', prompt: 'A little boat lived by the sea. The water was blue and', seed: 2 },
  { title: 'A birthday cake', prompt: 'It was Lily’s birthday. Her mom made a cake with', seed: 3 },
  { title: 'The tall tree', prompt: 'In the garden there was a tall tree. A small bird', seed: 4 },
  { title: 'A cold night', prompt: 'It was a cold and dark night. The little girl was scared because', seed: 5 },
];
/** Most token entropy of a neuron that a text opens with. */
const MOST_BITS = 2;
const NEW_TOKENS = 32;
const TEMPERATURE = 0.7;

const { COMMON_WORDS } = await siteModule('common-words.ts');

await main(async () => {
  const name = process.argv[2];
  const folder = path.join(paths.models, name ?? '');
  if (!name || !fs.existsSync(path.join(folder, 'config.json')))
    throw new Failure('Usage: node scripts/make-examples.mjs NAME, where NAME is a folder in models/, such as Llama-TopK-Stories-16M.');
  const { TopKLM } = await import(new URL('../dist/npm/index.js', import.meta.url).href);
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  const statistics = await model.features.index().catch(() => null);
  const { topk_select, d_model, d_vocab } = model.config;
  const vocabulary = await model.tokenizer.tokens(Array.from({ length: d_vocab }, (_, id) => id));
  const { topkLayers } = await siteModule('model-kind.ts');
  const layers = topkLayers(model.config);
  if (layers.length === 0) throw new Failure(`${name} is dense: Explore shows the active neurons of a TopK model.`);
  const out = path.join(folder, 'examples');
  fs.mkdirSync(out, { recursive: true });
  const texts = [];
  for (const [number, { title, prompt, seed }] of TEXTS.entries()) {
    const start = await model.tokenizer.encode(prompt);
    const ids = [...start];
    for await (const { id } of model.generate(start, { seed, temperature: TEMPERATURE, maxTokens: NEW_TOKENS, ignoreEos: false }))
      ids.push(id);
    const { hooks } = await model.run(ids, { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`), logits: 'none' });
    const rows = layers.map((layer) => ({ layer, ...hooks[`blocks.${layer}.hook_topk_out`] }));
    const taken = new Set(texts.map((text) => text.neuron.join('.')));
    texts.push({ title, ids, prompt_length: start.length, ...worthALook(ids, rows, statistics, vocabulary, taken) });
    const file = path.join(out, `${number}.json`);
    const stored = rows.map(({ layer, rowStart, indices, values }) => ({
      layer,
      row_start: [...rowStart],
      indices: [...indices],
      values: [...values].map((value) => Number(value.toPrecision(3))),
    }));
    writeWhole(file, JSON.stringify({ select: topk_select, d_model, layers: stored }));
    console.log(show(file), await model.tokenizer.decode(ids));
  }
  writeWhole(
    path.join(out, 'index.json'),
    JSON.stringify({ format: 1, model: name, temperature: TEMPERATURE, seeds: TEXTS.map(({ seed }) => seed), texts }),
  );
  await model.dispose();
  console.log(show(path.join(out, 'index.json')));
});

/** A word that says what a text is about. */
function isContent(token = '') {
  return /^\s?\p{L}{3,}$/u.test(token) && !COMMON_WORDS.has(token.trim().toLowerCase());
}

/**
 * The neuron that a text opens with, and the position: where it is most active, of those at a content word if there are any. It is active at 2 to
 * 16 tokens after the first, and no earlier text opens with it. With statistics it has at most 2 bits of token entropy, the fewer the
 * better, is not rare, and the largest share of the tokens where it is active are among its own three top tokens, content words. At a tie, and without statistics, the larger
 * value wins.
 */
function worthALook(ids, rows, statistics, vocabulary, taken) {
  let best = { score: -1, neuron: [0, 0], at: ids.length - 1 };
  for (const { layer, rowStart, indices, values } of rows) {
    const found = new Map();
    for (let at = 1; at < ids.length; at++) {
      for (let i = rowStart[at]; i < rowStart[at + 1]; i++) {
        if (values[i] <= 0) continue;
        const seen = found.get(indices[i]) ?? [];
        seen.push({ at, id: ids[at], value: values[i] });
        found.set(indices[i], seen);
      }
    }
    for (const [index, seen] of found) {
      if (seen.length < 2 || seen.length > 16 || taken.has(`${layer}.${index}`)) continue;
      const max = Math.max(...seen.map(({ value }) => value));
      const score =
        max / 1e6 +
        (statistics
          ? fitOf(
              statistics,
              vocabulary,
              layer,
              index,
              seen.map(({ id }) => id),
            )
          : 0);
      if (score <= best.score) continue;
      const content = seen.filter(({ id }) => isContent(vocabulary[id]));
      const { at } = (content.length > 0 ? content : seen).reduce((a, b) => (b.value > a.value ? b : a));
      best = { score, neuron: [layer, index], at };
    }
  }
  return { neuron: best.neuron, at: best.at };
}

/** How well a neuron's tokens in the text match those of the corpus, the more the fewer tokens it is strongest at: 0 to 8; below 0 it cannot be chosen. */
function fitOf(statistics, vocabulary, layer, index, tokens) {
  const entry = statistics.layers.indexOf(layer) * statistics.dModel + index;
  const { tokenEntropy, topTokens, n } = statistics.columns;
  const bits = tokenEntropy[entry];
  if (n[entry] < statistics.entropy.rareBelow || bits === null || bits > MOST_BITS) return -1;
  const isItsOwn = (id) => topTokens[entry].includes(id) && isContent(vocabulary[id]);
  if (!isContent(vocabulary[topTokens[entry][0]])) return -1;
  const own = tokens.filter(isItsOwn).length;
  return (own / tokens.length) * Math.min(4, own) * (MOST_BITS - bits);
}
