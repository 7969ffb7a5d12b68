// A page of another origin loads a model from `npm start`; the files for static hosts say the same.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { MODEL_HEADERS } from '../../scripts/lib/site-files.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);

test('the files for hosts allow other origins below models/, and there only', () => {
  const read = (name) => fs.readFileSync(path.join(paths.site, name), 'utf8');
  const part = /^\/models\/\*\n((?: {2}.*\n)+)/m.exec(read('_headers'))[1];
  for (const [name, value] of Object.entries(MODEL_HEADERS)) {
    assert.ok(part.includes(`  ${name}: ${value}\n`), name);
    assert.ok(read('models/.htaccess').includes(`Header set ${name} "${value}"`), name);
    const [, variable] = new RegExp(`add_header ${name} (\\$\\w+);`).exec(read('nginx-headers.conf'));
    assert.ok(read('nginx-headers.conf').includes(`if ($uri ~ "/models/") { set ${variable} "${value}"; }`), name);
  }
  assert.ok(!read('.htaccess').includes('Access-Control'));
});

test('a page of another origin runs a model of npm start', async (t) => {
  const server = spawn(process.execPath, [inRoot('scripts/start.mjs'), '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => server.kill());
  let output = '';
  const url = await new Promise((resolve, reject) => {
    server.on('exit', () => reject(new Error(output)));
    server.stdout.on('data', (text) => {
      output += text;
      const found = /is at (http:\S+)/.exec(output)?.[1];
      if (found) resolve(found);
    });
  });
  const { page } = await openApi(browser, t);
  const found = await page.evaluate(async (folder) => {
    const model = await globalThis.topk.TopKLM.load(folder, { backend: 'cpu' });
    const { ids } = await model.run('The dog ran');
    const tag = (await fetch(`${folder}config.json`)).headers.get('etag');
    return { ids: ids.length, tag, other: await fetch(new URL('../../index.html', folder)).then(String, () => 'refused') };
  }, `${url}models/Llama-TopK-Stories-9M/`);
  assert.ok(found.ids > 2);
  assert.ok(found.tag, 'its ETag can be read');
  assert.equal(found.other, 'refused');
});
