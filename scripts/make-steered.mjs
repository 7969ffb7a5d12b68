// node scripts/make-steered.mjs FOLDER…: makes FOLDER/steered.json, which Steer shows before the weights are there: what the model writes behind the
// page's first prompt with its first settings, without edits and with each recipe of recipes.json. Run `npm run build` first.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';

/** Most bytes of the file, which comes before the weights. */
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
  const { DEFAULTS } = await siteModule('stored-steering.ts');
  const { provenPrompts, readRecipes } = await siteModule('recipes.ts');
  const { engineEdit, formatEdits } = await siteModule('edits.ts');
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  try {
    const recipes = await readRecipes(model.features, new AbortController().signal);
    const [prompt = DEFAULTS.prompt] = provenPrompts(recipes, DEFAULTS.prompt);
    const ids = [...(await model.tokenizer.encode(prompt))];
    const { seed, temperature, maxTokens } = DEFAULTS;
    const texts = [];
    for (const edits of [[], ...recipes.map((recipe) => recipe.edits)]) {
      const asked = edits.map((edit) => engineEdit(edit, { promptLength: ids.length, context: model.config.n_ctx }));
      const written = [];
      for await (const { id } of model.generate(ids, { seed, temperature, maxTokens, edits: asked })) written.push(id);
      texts.push({ edits: formatEdits(edits), ids: written });
    }
    const stored = { format: 1, prompt, seed, temperature, max_tokens: maxTokens, prompt_ids: ids, texts };
    const text = `${JSON.stringify(stored)}\n`;
    if (text.length > MOST) throw new Failure(`steered.json would have ${text.length} bytes; at most ${MOST} come before the weights.`);
    const file = path.join(folder, 'steered.json');
    fs.writeFileSync(file, text);
    console.log(`${path.relative(inRoot(), file)}, ${text.length} bytes: ${texts.length} texts behind “${prompt}”`);
  } finally {
    await model.dispose();
  }
}
