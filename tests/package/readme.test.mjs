// The code of the READMEs and guides, run exactly as printed, on the shipped model.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { blocksOf, codeOf, DOCUMENTS, RUN_BY } from './blocks.mjs';
import { packageFolder, root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';
import { writeSae } from './sae.mjs';

const browser = await openBrowser(test);
const MODELS = path.join(root, 'models');
/** The model that the documents load. */
const CONFIG = JSON.parse(fs.readFileSync(path.join(MODELS, 'Llama-TopK-Stories-16M/config.json'), 'utf8'));

test('every code block of the READMEs and guides is of a kind that is run', () => {
  const kinds = Object.keys(RUN_BY);
  const others = DOCUMENTS.flatMap(blocksOf).filter(({ kind }) => !kinds.includes(kind));
  assert.deepEqual(
    others.map(({ file, kind, code }) => `${file}: ${kind || 'no language'}: ${code.slice(0, 60)}`),
    [],
  );
});

/** Runs code as a module in a page whose package, models and autoencoder are where the documents say; the console's lines and the page's text. */
async function outcomeOf(t, code) {
  const script = code.replaceAll(/from 'topk-lm(?:\/(\w+))?'/g, (_, entry = 'index') => `from '/npm/${entry}.js'`);
  const intercept = (request, response) => {
    if (request.url !== '/examples.js') return false;
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return true;
  };
  const { page } = await openApi(browser, t, {
    mounts: { '/models/': MODELS, '/sae/': writeSae('readme', CONFIG.hidden_size), '/topk-lm/': packageFolder },
    serving: { intercept },
  });
  const messages = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(`error: ${error}`));
  await page.evaluate(() => import('/examples.js').catch((error) => console.log(`error: ${error}`)));
  assert.deepEqual(
    messages.filter((line) => line.startsWith('error')),
    [],
  );
  return { messages, text: await page.evaluate(() => document.body.textContent) };
}

/** What each file's module does, beyond ending without an error. */
const EXPECTED = {
  'README.md': ({ messages, text }) => {
    assert.ok(text.length > 100, 'a story was written');
    assert.equal(messages.length, 1, 'the active neurons were printed');
  },
  'js/README.md': ({ messages, text }) => {
    assert.ok(messages.includes('AbortError aborted'), 'the abort example was aborted');
    assert.ok(text.length > 100, 'a story was written');
  },
  'docs/guides/web-developer.md': ({ messages, text }) => {
    assert.ok(text.length > 200, 'three stories were written');
    assert.ok(
      messages.some((line) => line.startsWith('hook ')),
      'the unknown hook was named',
    );
  },
};

for (const file of DOCUMENTS) {
  const together = codeOf(file, 'js');
  if (together.length > 0) {
    test(`the examples of ${file} run`, async (t) => {
      assert.ok(EXPECTED[file], `what the examples of ${file} do is not said here`);
      EXPECTED[file](await outcomeOf(t, together.join('\n')));
    });
  }
  for (const code of codeOf(file, 'js alone')) {
    test(`${file}, alone: ${code.split('\n')[0]}`, (t) => outcomeOf(t, code));
  }
  const inNode = codeOf(file, 'js node');
  if (inNode.length > 0) {
    test(`the examples of ${file} for Node run`, () => {
      const folder = fs.mkdtempSync(path.join(root, 'target/readme-'));
      try {
        fs.mkdirSync(path.join(folder, 'node_modules'));
        fs.symlinkSync(packageFolder, path.join(folder, 'node_modules/topk-lm'), 'junction');
        fs.symlinkSync(MODELS, path.join(folder, 'models'), 'junction');
        fs.writeFileSync(path.join(folder, 'examples.mjs'), inNode.join('\n'));
        const output = execFileSync(process.execPath, ['examples.mjs'], { cwd: folder, encoding: 'utf8', timeout: 300_000 });
        if (inNode.join().includes('console.log')) assert.ok(output.trim().split('\n').length > 2, output);
      } finally {
        fs.rmSync(folder, { recursive: true });
      }
    });
  }
}

test('the frame of the guide shows the site', async () => {
  const [frame] = codeOf('docs/guides/web-developer.md', 'html');
  const site = await serve({ '/explorer/': paths.site });
  const elsewhere = await serve(
    {},
    {
      intercept: (_, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end(`<!doctype html><link rel="icon" href="data:,">${frame.replace('https://HOST/PATH/', `${site.url}explorer/`)}`);
        return true;
      },
    },
  );
  const page = await browser.newPage();
  try {
    await page.goto(elsewhere.url);
    const inside = page.frameLocator('iframe');
    await inside.getByRole('heading', { level: 1, name: 'Steer' }).waitFor({ timeout: 60_000 });
    assert.equal(await inside.getByRole('banner').count(), 0);
  } finally {
    await page.close();
    await site.close();
    await elsewhere.close();
  }
});
