// Writes hidden_state.json of each TopK model folder here: one real hidden state before TopK, which the site shows before a model is loaded.
// Needs the built package (npm run build). Run make_manifest.mjs after it.
//
//   node models/make_hidden_state.mjs
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { siteModule } from '../scripts/lib/site-module.mjs';
import { writeWhole } from '../scripts/lib/write.mjs';
import { modelFolders } from './make_manifest.mjs';

const TEXT = 'The little dog ran to the';
/** A middle layer, where neurons mean more than their token. */
const LAYER = 2;
const DIGITS = 4;

const { TopKLM } = await import('topk-lm');
const { topkLayers } = await siteModule('model-kind.ts');

for (const folder of modelFolders(path.dirname(fileURLToPath(import.meta.url)))) {
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  const { topk_k: k, topk_select: select, topk_post: post, d_model: width } = model.config;
  const layer = topkLayers(model.config)
    .slice(0, LAYER + 1)
    .at(-1);
  if (layer !== undefined) {
    const hook = `blocks.${layer}.hook_topk_in`;
    const { tokens, hooks } = await model.run(TEXT, { hooks: [hook], logits: 'none' });
    const values = [...hooks[hook].data.slice(-width)].map((value) => Number(value.toPrecision(DIGITS)));
    const state = { text: TEXT, token: tokens.at(-1), layer, k, select, post, values };
    writeWhole(path.join(folder, 'hidden_state.json'), `${JSON.stringify(state)}\n`);
    console.log(`models/${path.basename(folder)}/hidden_state.json`);
  }
  await model.dispose();
}
