// A model whose config.json promises an enormous context: memory is taken for the text. (crate/tests/memory.rs has what comes where it ends.)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { golden, modelFolder, packageFolder } from './fixture.mjs';

const { TopKLM } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);

const context = 800_000;

test(`a context of ${context}: ten generations at once`, { timeout: 600_000 }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-memory-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.cpSync(modelFolder, folder, { recursive: true });
  const config = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8'));
  config.max_position_embeddings = context;
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  t.after(() => model.dispose());
  const { prompt_ids: prompt, ids } = golden();
  const generate = async () => {
    const made = [];
    for await (const { id } of model.generate(prompt, { maxTokens: 4, temperature: 0 })) made.push(id);
    return made;
  };
  const all = await Promise.all(Array.from({ length: 10 }, generate));
  for (const made of all) assert.deepEqual(made, ids.slice(0, made.length));
  assert.deepEqual(await generate(), all[0]);
});
