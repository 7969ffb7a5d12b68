// node scripts/make-start.mjs FOLDER… [--neuron LAYER.INDEX] [--contrast 'he / she']: makes FOLDER/start.json, with which the start page opens: one neuron, what the model
// writes without and with it, and how it was measured. It is the best switch of features/switches.json; where there is none, the gentle recipe of
// recipes.json that works most often. Run `npm run build` first.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { inRoot, paths } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';
import { writeWhole } from './lib/write.mjs';

/** For a recipe: the first behind which more words of the concept come than without the edit. */
const PROMPTS = ['One day, a little girl named Lily went to the', 'The old man had a', 'Once upon a time'];
/** Most bytes of the file, which comes before all else. */
const MOST = 10_000;

const USAGE =
  'Usage: node scripts/make-start.mjs FOLDER… [--neuron LAYER.INDEX] [--contrast NAME], each the folder of a TopK model, such as models/Llama-TopK-Stories-16M.';

await main(async () => {
  const { values, positionals } = parseArgs({
    options: { neuron: { type: 'string' }, contrast: { type: 'string' } },
    allowPositionals: true,
  });
  const unknown = positionals.find((folder) => !fs.existsSync(path.join(folder, 'config.json')));
  if (positionals.length === 0 || unknown !== undefined) throw new Failure(USAGE);
  for (const folder of positionals) await make(path.resolve(folder), values);
});

async function make(folder, { neuron, contrast }) {
  const { TopKLM } = await import(new URL('index.js', `file://${paths.npmPackage}/`).href);
  const { compare } = await siteModule('start/compare.ts');
  const { topkLayers } = await siteModule('model-kind.ts');
  const { fileOf, exampleOf } = await siteModule('start/example.ts');
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  try {
    const { d_model: width, topk_k: k } = model.config;
    if (k === null) throw new Failure(`${path.basename(folder)} is dense: the start page shows a neuron of a TopK model.`);
    const index = await model.features.index().catch(() => null);
    const labelOf = ({ layer, index: at }) => index?.columns.label[index.layers.indexOf(layer) * index.dModel + at] ?? '';
    const run = async (prompt, edit) => {
      const ids = [...(await model.tokenizer.encode(prompt))];
      return { prompt, stored: await compare(model, ids, edit) };
    };
    const made = (await fromSwitches(folder, neuron, contrast, run)) ?? (await fromRecipes(model.features, neuron, run));
    if (!made) throw new Failure(`${path.basename(folder)} has neither a switch nor a recipe that shows at the prompts here.`);
    const example = { ...made, label: labelOf(made.edit), width, k, layers: topkLayers(model.config).length };
    const text = `${JSON.stringify(fileOf(example))}\n`;
    if (!exampleOf(JSON.parse(text))) throw new Failure('The site could not read what was made.');
    if (text.length > MOST) throw new Failure(`start.json would have ${text.length} bytes; at most ${MOST} come before all else.`);
    const file = path.join(folder, 'start.json');
    writeWhole(file, text);
    const { before, after } = example.stored;
    console.log(`${path.relative(inRoot(), file)}, ${text.length} bytes: ${example.name}, ${example.edit.layer}.${example.edit.index}`);
    console.log(`  ${example.prompt} |${before.text.join('')}\n  ${example.prompt} |${after.text.join('')}`);
  } finally {
    await model.dispose();
  }
}

function read(folder, name) {
  const file = path.join(folder, name);
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null;
}

function isWanted(neuron) {
  return (each) => !neuron || `${each.layer}.${each.index}` === neuron;
}

/** Whether the next token turns from the one side of the name to the other: “he → she”. */
function turns({ name, before, after }) {
  const [from, to] = name.split(' → ');
  return Boolean(from && to) && before.trimStart().startsWith(from) && after.trimStart().startsWith(to);
}

/** Of the switches behind whose prompt another token comes next, at best the two that name it, the one that does most beside random neurons. */
async function fromSwitches(folder, neuron, wanted, run) {
  const all = (read(folder, 'features/switches.json')?.switches ?? []).filter((each) => !wanted || each.contrast === wanted);
  for (const one of all.filter(isWanted(neuron)).sort((a, b) => turns(b) - turns(a) || b.times - a.times)) {
    const { layer, index, value, name, contrast, effect, control, times, steer, prompt } = one;
    const edit = { layer, index, action: 'clamp', value, site: 'topk_out', positions: 'next', propagate: 'layer' };
    const result = await run(prompt, edit);
    if (!neuron && result.stored.before.text[0] === result.stored.after.text[0]) continue;
    return { name, edit, figures: { kind: 'switch', contrast, effect, control, times, surprise: steer.surprise }, ...result };
  }
  return null;
}

/** Of the gentle recipes of one neuron, the one that shows in most texts, at the first prompt here at which it does. */
async function fromRecipes(features, neuron, run) {
  const { readRecipes } = await siteModule('recipes.ts');
  const { countWords } = await siteModule('compare.ts');
  const { recipes } = await readRecipes(features, new AbortController().signal);
  const all = recipes.filter(({ gentle, edits }) => gentle && edits.length === 1);
  for (const one of all.filter(({ edits }) => isWanted(neuron)(edits[0])).sort((a, b) => b.success - a.success)) {
    const { concept: name, words, edits, baseRate, steeredRate, tokens, success, nllRatio: surprise } = one;
    const count = (text) => countWords(text.join(''), words).found;
    for (const prompt of PROMPTS) {
      const result = await run(prompt, edits[0]);
      if (count(result.stored.after.text) <= count(result.stored.before.text)) continue;
      return { name, edit: edits[0], figures: { kind: 'recipe', baseRate, steeredRate, tokens, success, surprise }, ...result };
    }
  }
  return null;
}
