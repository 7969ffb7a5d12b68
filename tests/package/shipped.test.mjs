// The shipped model in Chromium: PyTorch's greedy texts to the end of the context, on the CPU and on WebGPU. An emulated GPU
// takes about a second a token, so without SOAK=1 WebGPU gives the beginnings of three.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const { greedy } = JSON.parse(fs.readFileSync(path.join(root, 'tests/goldens/shipped/shipped.json'), 'utf8'));

const BEGINNING = 24;
const short = process.env.SOAK ? greedy : greedy.slice(3, 6).map((text) => ({ ...text, ids: text.ids.slice(0, BEGINNING) }));

for (const [backend, texts] of [
  ['cpu', greedy],
  ['webgpu', short],
]) {
  test(`${texts.length} greedy texts on ${backend}`, { timeout: 7_200_000 }, async (t) => {
    const { page } = await openApi(browser, t, { mounts: { '/models/': path.join(root, 'models') } });
    page.setDefaultTimeout(0);
    const { kind, cache } = await page.evaluate(async (backend) => {
      globalThis.model = await topk.TopKLM.load('/models/Llama-TopK-Stories-16M/', { backend });
      return { kind: model.backend.kind, cache: model.cache.state };
    }, backend);
    assert.equal(kind, backend);
    assert.equal(cache, 'verified');
    for (const { prompt, prompt_ids, ids } of texts) {
      const found = await page.evaluate(
        async ([prompt, promptIds, count]) => {
          const began = performance.now();
          const generation = model.generate(prompt ?? promptIds, { maxTokens: count, temperature: 0, ignoreEos: true });
          const [ids, texts] = [[], []];
          for await (const step of generation) {
            ids.push(step.id);
            texts.push(step.text);
          }
          const whole = await model.tokenizer.decode([...generation.promptIds, ...ids]);
          const tokensPerSecond = (1000 * ids.length) / (performance.now() - began);
          return { promptIds: [...generation.promptIds], ids, text: texts.join(''), whole, finish: generation.finish, tokensPerSecond };
        },
        [prompt, prompt_ids, texts === greedy ? 1000 : ids.length],
      );
      t.diagnostic(`${JSON.stringify(prompt ?? prompt_ids)}: ${found.ids.length} tokens, ${found.tokensPerSecond.toFixed(1)} a second`);
      assert.deepEqual(found.promptIds, prompt_ids);
      assert.deepEqual(found.ids, ids);
      assert.equal(found.finish, texts === greedy ? 'context' : 'length');
      assert.ok(found.whole.endsWith(found.text), 'the pieces of text add up');
    }
    await page.evaluate(() => model.dispose());
  });
}
