// A model whose config.json promises an enormous context: memory is taken for the text, and where it ends, the error says so and the
// engine goes on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { golden, modelFolder, packageFolder } from './fixture.mjs';

const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);

for (const context of [800_000, 4_194_304]) {
  test(`a context of ${context}: ten generations at once, and more than there is memory for`, { timeout: 600_000 }, async (t) => {
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
    // For each position and head a row as long as the context. The smaller context's fit, but are more than a test should take.
    if (context < 4_000_000) return;
    const text = Array.from({ length: 400 }, (_, i) => i % 50);
    await assert.rejects(model.run(text, { hooks: ['blocks.0.attn.hook_pattern'] }), (error) => {
      assert.ok(error instanceof TopKError && error.code === 'out-of-memory', `${error.code}: ${error.message}`);
      assert.match(error.message, /^there is no memory for .*\d/);
      return true;
    });
    assert.deepEqual(await generate(), all[0]);
  });
}
