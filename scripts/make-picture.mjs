// node scripts/make-picture.mjs: the picture of the README, docs/steering.svg, drawn from what the shipped model computes.
// Needs `npm run build` before it.
import path from 'node:path';
import { inRoot, paths, show } from './lib/paths.mjs';
import { main } from './lib/run.mjs';
import { writeWhole } from './lib/write.mjs';

const MODEL = 'Llama-TopK-Stories-16M';
const PROMPT = 'The baby was tired, so';
const LAYERS = [1, 2, 3];
const EDIT = { layer: 1, index: 296, action: 'clamp', value: 18 };
const MOST_LIKELY = 4;
const NEW_TOKENS = 24;

const WIDTH = 960;
const HEIGHT = 470;
const INK = '#16201e';
const QUIET = '#5c6b68';
const TEAL = '#0d7a70';
const FAINT = '#b9c9c5';
const ORANGE = '#c2410c';

/** Where the bars of a row stand. */
const baseOf = (row) => 138 + 62 * row;

/** What the model says behind the prompt: its hidden state at the last token, the likeliest next tokens, and a greedy continuation. */
async function outcome(model, edits) {
  const names = LAYERS.map((layer) => `blocks.${layer}.hook_topk_out`);
  const { tokens, hooks, logits } = await model.run(PROMPT, { hooks: names, edits, logits: 'last' });
  const largest = Math.max(...logits.data);
  const masses = Array.from(logits.data, (logit) => Math.exp(logit - largest));
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  const ids = masses.map((_, id) => id).sort((a, b) => masses[b] - masses[a]);
  const best = ids.slice(0, MOST_LIKELY);
  const texts = await model.tokenizer.tokens(best);
  let story = '';
  for await (const { text } of model.generate(PROMPT, { edits, temperature: 0, maxTokens: NEW_TOKENS })) story += text;
  const states = names.map((name) => {
    const { rowStart, indices, values } = hooks[name];
    const [from, to] = [rowStart.at(-2), rowStart.at(-1)];
    return Array.from(indices.subarray(from, to), (index, n) => ({ index, value: values[from + n] }));
  });
  return { tokens, states, story, likely: best.map((id, n) => ({ text: texts[n], share: masses[id] / total })) };
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const text = (x, y, content, { size = 14, fill = INK, weight = 400, anchor = 'start' } = {}) =>
  `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" font-weight="${weight}" text-anchor="${anchor}">${escaped(content)}</text>`;

function draw(config, plain, edited) {
  const left = 100;
  const step = (WIDTH - left - 40) / config.d_model;
  const prompt = `“${PROMPT} …”`;
  const parts = [text(40, 48, prompt, { size: 22, weight: 600 })];
  parts.push(
    text(40, 76, `the active neurons (at most ${config.topk_k} of ${config.d_model}) at “${plain.tokens.at(-1).trim()}”`, { fill: QUIET }),
  );
  edited.states.forEach((state, row) => {
    const base = baseOf(row);
    const tallest = Math.max(...state.map(({ value }) => value));
    parts.push(text(40, base, `block ${LAYERS[row]}`, { size: 13, fill: QUIET }));
    for (const { index, value } of state) {
      const isSet = LAYERS[row] === EDIT.layer && index === EDIT.index;
      const height = Math.max((44 * Math.abs(value)) / tallest, 1);
      const [color, width] = isSet ? [ORANGE, 3] : [value > 0 ? TEAL : FAINT, 1.2];
      const top = value > 0 ? base - height : base;
      const [x, y, tall] = [left + step * index, top, height].map((number) => number.toFixed(1));
      parts.push(`<rect x="${x}" y="${y}" width="${width}" height="${tall}" fill="${color}"/>`);
    }
  });
  const note = `neuron (${EDIT.layer}, ${EDIT.index}) set to ${EDIT.value}`;
  parts.push(
    text(left + step * EDIT.index, baseOf(LAYERS.indexOf(EDIT.layer)) + 15, note, {
      size: 13,
      fill: ORANGE,
      weight: 600,
      anchor: 'middle',
    }),
  );
  parts.push(...panel(40, 'as it is', plain, TEAL), ...panel(500, 'with the neuron set', edited, ORANGE));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" role="img">
<!-- made by scripts/make-picture.mjs -->
<title>The active neurons of a TopK language model, and what it writes with and without one of them set</title>
<rect width="${WIDTH}" height="${HEIGHT}" rx="12" fill="#fcfcfc"/>
${parts.join('\n')}
</svg>
`;
}

function panel(x, title, { likely, story }, color) {
  const bars = likely.flatMap(({ text: token, share }, row) => {
    const y = 348 + 22 * row;
    return [
      text(x + 76, y + 11, token.trim(), { size: 13, anchor: 'end' }),
      `<rect x="${x + 86}" y="${y}" width="${(400 * share).toFixed(1)}" height="13" rx="2" fill="${color}"/>`,
      text(x + 94 + 400 * share, y + 11, `${(100 * share).toFixed(0)} %`, { size: 12, fill: QUIET }),
    ];
  });
  const line = story.replaceAll(/\s+/g, ' ').trim();
  const shown = line.slice(0, line.lastIndexOf(' ', 56));
  return [text(x + 16, 332, title, { weight: 600 }), ...bars, text(x + 16, 452, `… ${shown} …`, { size: 13 })];
}

await main(async () => {
  const { TopKLM } = await import(new URL('../dist/npm/index.js', import.meta.url).href);
  const model = await TopKLM.load(path.join(paths.models, MODEL), { backend: 'cpu' });
  const [plain, edited] = [await outcome(model, []), await outcome(model, [EDIT])];
  const file = inRoot('docs/steering.svg');
  writeWhole(file, draw(model.config, plain, edited));
  console.log(show(file));
  await model.dispose();
});
