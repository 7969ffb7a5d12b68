// The code of the READMEs and guides, run exactly as printed, on the shipped model.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { blocksOf, codeOf, DOCUMENTS, RUN_BY, SHELL, shellOf } from './blocks.mjs';
import { golden, modelFolder, packageFolder, root } from './fixture.mjs';
import { STEP_TIMEOUT } from '../browser/harness.mjs';
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

test('every command line of the READMEs and guides has a place where it is run, and every place is there', () => {
  const lines = new Set(DOCUMENTS.flatMap(shellOf));
  const listed = SHELL.flatMap(([, , commands]) => commands);
  assert.deepEqual([...lines].filter((line) => !listed.includes(line)).sort(), []);
  assert.deepEqual(listed.filter((line) => !lines.has(line)).sort(), []);
  assert.equal(new Set(listed).size, listed.length);
  for (const [file] of SHELL) assert.ok(fs.existsSync(path.join(root, file)), file);
});

const shell = promisify(execFile);
const NPM = { shell: process.platform === 'win32', timeout: 1_800_000, maxBuffer: 2 ** 26 };
/** npm in a folder; what it prints. */
const npm = async (cwd, args, env = {}) => (await shell('npm', args, { ...NPM, cwd, env: { ...process.env, ...env } })).stdout;

test('npm run build', async () => {
  assert.match(await npm(root, ['run', 'build']), /npm package: dist.npm\s+site: dist.site/);
});

test('the lines for Cargo.toml', async (t) => {
  const folder = fs.mkdtempSync(path.join(root, 'target/dependent-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const [lines, ...others] = codeOf('crate/README.md', 'toml');
  assert.deepEqual(others, []);
  const here = lines.replace('"topk-lm/crate"', JSON.stringify(path.join(root, 'crate')));
  const head = '[package]\nname = "dependent"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n\n';
  fs.writeFileSync(path.join(folder, 'Cargo.toml'), head + here);
  fs.copyFileSync(path.join(root, 'Cargo.lock'), path.join(folder, 'Cargo.lock'));
  fs.mkdirSync(path.join(folder, 'src'));
  fs.writeFileSync(path.join(folder, 'src/main.rs'), 'fn main() {}\n');
  const { stdout } = await shell('cargo', ['tree', '--offline', '--depth', '1'], { cwd: folder });
  assert.match(stdout, /── pollster v1.*── topk-lm v/s);
});

test('npm i topk-lm, from a registry that has this build', async (t) => {
  for (const file of ['js/README.md', 'docs/guides/web-developer.md']) assert.deepEqual(shellOf(file), ['npm i topk-lm'], file);
  const folder = fs.mkdtempSync(path.join(root, 'target/registry-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const [packed] = JSON.parse(await npm(packageFolder, ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]));
  const own = JSON.parse(fs.readFileSync(path.join(packageFolder, 'package.json'), 'utf8'));
  const intercept = (request, response) => {
    if (request.url !== '/topk-lm') return false;
    const dist = { tarball: `http://${request.headers.host}/${packed.filename}`, integrity: packed.integrity, shasum: packed.shasum };
    const answer = { name: own.name, 'dist-tags': { latest: own.version }, versions: { [own.version]: { ...own, dist } } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    return true;
  };
  const registry = await serve({ '/': folder }, { intercept });
  t.after(() => registry.close());
  const project = path.join(folder, 'project');
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{"private": true, "type": "module"}');
  const env = { npm_config_registry: registry.url, npm_config_cache: path.join(folder, 'cache'), npm_config_audit: 'false' };
  await npm(project, ['i', 'topk-lm'], env);
  assert.equal(JSON.parse(fs.readFileSync(path.join(project, 'package.json'), 'utf8')).dependencies['topk-lm'], `^${own.version}`);
  const { prompt_ids, ids } = golden();
  fs.writeFileSync(
    path.join(project, 'app.js'),
    `import { TopKLM } from 'topk-lm';
    const model = await TopKLM.load(${JSON.stringify(modelFolder)});
    const ids = [];
    for await (const { id } of model.generate(${JSON.stringify(prompt_ids)}, { maxTokens: ${ids.length}, temperature: 0 })) ids.push(id);
    console.log(JSON.stringify(ids));`,
  );
  const { stdout } = await shell(process.execPath, ['app.js'], { cwd: project });
  assert.deepEqual(JSON.parse(stdout), ids);
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
        const output = execFileSync(process.execPath, ['examples.mjs'], { cwd: folder, encoding: 'utf8', timeout: 1_800_000 });
        if (inNode.join().includes('console.log')) assert.ok(output.trim().split('\n').length > 2, output);
      } finally {
        fs.rmSync(folder, { recursive: true });
      }
    });
  }
}

/** The HTML of the guide that has a tag. */
function htmlOf(tag) {
  const blocks = codeOf('docs/guides/web-developer.md', 'html');
  assert.equal(blocks.length, 2, 'every block of HTML is run here');
  return blocks.find((code) => code.includes(tag));
}

test('the page of the guide without a bundler writes a story', async (t) => {
  const html = `<!doctype html><link rel="icon" href="data:,"><body>${htmlOf('importmap')}`;
  const intercept = (request, response) => {
    if (request.url !== '/') return false;
    response.writeHead(200, { 'content-type': 'text/html' }).end(html);
    return true;
  };
  const server = await serve({ '/models/': MODELS, '/node_modules/topk-lm/': packageFolder }, { intercept });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  page.setDefaultTimeout(STEP_TIMEOUT);
  await page.goto(server.url);
  await page.waitForFunction(() => document.body.innerText.length > 40);
});

test('the frame of the guide shows the site', async () => {
  const frame = htmlOf('<iframe');
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
  page.setDefaultTimeout(STEP_TIMEOUT);
  try {
    await page.goto(elsewhere.url);
    const inside = page.frameLocator('iframe');
    await inside.getByRole('heading', { level: 1, name: 'Steer' }).waitFor({ timeout: 600_000 });
    assert.equal(await inside.getByRole('banner').count(), 0);
  } finally {
    await page.close();
    await site.close();
    await elsewhere.close();
  }
});
