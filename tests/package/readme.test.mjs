// The examples of the package's README, run as they stand, one after the other, on the shipped model.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);

test('the examples of js/README.md run', async (t) => {
  const text = fs.readFileSync(path.join(root, 'js/README.md'), 'utf8');
  const examples = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.ok(examples.length >= 5);
  const script = examples
    .join('\n')
    .replace("from 'topk-lm'", "from '/npm/index.js'")
    .replace("from 'topk-lm/topk'", "from '/npm/topk.js'");
  const intercept = (request, response) => {
    if (request.url !== '/examples.js') return false;
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return true;
  };
  const { page } = await openApi(browser, t, { mounts: { '/models/': path.join(root, 'models') }, serving: { intercept } });
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(`error: ${error}`));
  await page.evaluate(() => import('/examples.js').catch((error) => console.log(`error: ${error}`)));
  assert.deepEqual(
    said.filter((line) => line.startsWith('error')),
    [],
  );
  assert.ok(said.includes('AbortError aborted'), 'the abort example was aborted');
  assert.ok((await page.evaluate(() => document.body.textContent)).length > 100, 'a story was written');
});
