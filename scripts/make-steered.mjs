// node scripts/make-steered.mjs FOLDER…: makes FOLDER/steered.json, which Steer shows before the weights are there: what the model writes behind the
// page's first prompt with its first settings, without edits and with each recipe of recipes.json. And FOLDER/topics.json, a text of each recipe for
// the gallery: of its prompts the first after which a word of the concept appears with the recipe and not without it. Run `npm run build` first.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';
import { writeWhole } from './lib/write.mjs';

/** Most bytes of a file, which comes before the weights. */
const MOST = 10_000;

await main(async () => {
  const folders = process.argv.slice(2);
  const unknown = folders.find((folder) => !fs.existsSync(path.join(folder, 'recipes.json')));
  if (folders.length === 0 || unknown !== undefined)
    throw new Failure(
      'Usage: node scripts/make-steered.mjs FOLDER…, each the folder of a model with recipes.json, such as models/Llama-TopK-Stories-16M.',
    );
  for (const folder of folders) await make(path.resolve(folder));
});

async function make(folder) {
  const { TopKLM } = await import(new URL('index.js', `file://${paths.npmPackage}/`).href);
  const { readRecipes } = await siteModule('recipes.ts');
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  try {
    const { recipes } = await readRecipes(model.features, new AbortController().signal);
    write(path.join(folder, 'steered.json'), await steeredBy(model, recipes));
    write(path.join(folder, 'topics.json'), await topicsOf(model, recipes));
  } finally {
    await model.dispose();
  }
}

function write(file, stored) {
  const text = `${JSON.stringify(stored)}\n`;
  if (text.length > MOST)
    throw new Failure(`${path.basename(file)} would have ${text.length} bytes; at most ${MOST} come before the weights.`);
  writeWhole(file, text);
  console.log(`${path.relative(inRoot(), file)}, ${text.length} bytes: ${(stored.texts ?? stored.lines).length} texts`);
}

/** Ids of what the model writes behind others. */
async function written(model, ids, { seed, temperature, maxTokens }, edits) {
  const { engineEdit } = await siteModule('edits.ts');
  const asked = edits.map((edit) => engineEdit(edit, { promptLength: ids.length, context: model.config.n_ctx }));
  const added = [];
  for await (const { id } of model.generate(ids, { seed, temperature, maxTokens, edits: asked })) added.push(id);
  return added;
}

async function steeredBy(model, recipes) {
  const { DEFAULTS } = await siteModule('stored-steering.ts');
  const { provenPrompts } = await siteModule('recipes.ts');
  const { formatEdits } = await siteModule('edits.ts');
  const [prompt = DEFAULTS.prompt] = provenPrompts(recipes, DEFAULTS.prompt);
  const ids = [...(await model.tokenizer.encode(prompt))];
  const { seed, temperature, maxTokens } = DEFAULTS;
  const texts = [];
  for (const edits of [[], ...recipes.map((recipe) => recipe.edits)]) {
    texts.push({ edits: formatEdits(edits), ids: await written(model, ids, DEFAULTS, edits) });
  }
  return { format: 1, prompt, seed, temperature, max_tokens: maxTokens, prompt_ids: ids, texts };
}

async function topicsOf(model, recipes) {
  const { TOPIC_SAMPLING } = await siteModule('stored-topics.ts');
  const { countWords } = await siteModule('compare.ts');
  const { formatEdits } = await siteModule('edits.ts');
  const { seed, temperature, maxTokens } = TOPIC_SAMPLING;
  const lines = [];
  for (const { concept, words, prompts, edits } of recipes) {
    const found = await first(prompts, async (prompt) => {
      const ids = [...(await model.tokenizer.encode(prompt))];
      const text = async (edits) => model.tokenizer.decode(await written(model, ids, TOPIC_SAMPLING, edits));
      const [before, after] = [await text([]), await text(edits)];
      const has = (continuation) => countWords(continuation, words).found > 0;
      return !has(before) && has(after) && { edits: formatEdits(edits), prompt, before, after };
    });
    if (found) lines.push(found);
    else console.log(`${concept}: after none of ${prompts.length} prompts does a word appear with it alone`);
  }
  return { format: 1, seed, temperature, max_tokens: maxTokens, lines };
}

/** The first that is not false. */
async function first(list, make) {
  for (const each of list) {
    const made = await make(each);
    if (made) return made;
  }
  return null;
}
