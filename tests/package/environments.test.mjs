// Tools that are installed for this test only: Rollup, Deno, Bun, Parcel, Jest, Next.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, golden, modelFolder } from './fixture.mjs';
import { assertGolden, openBrowser } from './page.mjs';
import { installTool } from './tools.mjs';

/** Tests what needs `tool`, with its folder. */
const testIn = (tool, name, work) =>
  test(name, (t) => {
    const folder = installTool(tool);
    return folder ? work(t, folder) : t.skip('the registry does not answer');
  });

testIn('rollup', 'Rollup with node-resolve: topk-lm/bundle', async (t, folder) => {
  const { resolve } = createRequire(path.join(folder, 'package.json'));
  const importTool = (name) => import(pathToFileURL(resolve(name)).href);
  const root = createProject('rollup', 'topk-lm/bundle');
  const [{ rollup }, { nodeResolve }] = await Promise.all([importTool('rollup'), importTool('@rollup/plugin-node-resolve')]);
  const warnings = [];
  const build = await rollup({
    input: path.join(root, 'app.js'),
    plugins: [nodeResolve()],
    onwarn: ({ message }) => warnings.push(message),
  });
  await build.write({ dir: path.join(root, 'dist'), format: 'es' });
  await build.close();
  assert.deepEqual(warnings, []);
  fs.copyFileSync(path.join(root, 'index.html'), path.join(root, 'dist/index.html'));
  const server = await serve({ '/': path.join(root, 'dist'), '/model/': modelFolder });
  t.after(() => server.close());
  const browser = await openBrowser(t);
  await assertGolden(browser, server.url, '/model/', { backend: 'cpu' });
});

/** A script for runtimes other than browsers; its arguments: entry, model, ids, count. It prints what it generated, and the timers that it leaves. */
const SCRIPT = `
const timers = new Set();
const { setTimeout, clearTimeout } = globalThis;
globalThis.setTimeout = (work, ...rest) => {
  const timer = setTimeout((...given) => { timers.delete(timer); work(...given); }, ...rest);
  timers.add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => { timers.delete(timer); clearTimeout(timer); };
const [entry, source, prompt, count] = globalThis.Deno?.args ?? process.argv.slice(2);
const { TopKLM } = await import(entry);
const model = await TopKLM.load(source);
const ids = [];
for await (const { id } of model.generate(JSON.parse(prompt), { maxTokens: Number(count), temperature: 0 })) ids.push(id);
await model.dispose();
console.log(JSON.stringify({ ids, timers: timers.size }));
`;

/** Runs the script in a project, as `program ...options script entry …`, for every entry and for a path, a `file:` and an http URL. */
async function assertScript(t, root, program, options, entries, env) {
  const server = await serve({ '/': modelFolder });
  t.after(() => server.close());
  fs.writeFileSync(path.join(root, 'script.mjs'), SCRIPT);
  const { prompt_ids, ids } = golden();
  for (const entry of entries) {
    for (const source of [modelFolder, pathToFileURL(modelFolder).href, server.url]) {
      const more = ['script.mjs', entry, source, JSON.stringify(prompt_ids), String(ids.length)];
      const run = promisify(execFile)(program, [...options, ...more], { cwd: root, env: { ...process.env, ...env }, timeout: 900_000 });
      assert.deepEqual(JSON.parse((await run).stdout), { ids, timers: 0 }, `${entry} ${source}`);
    }
  }
}

testIn('deno', "Deno: either, from a folder, with nothing allowed but to read it and to ask the model's server", async (t, folder) => {
  const root = createProject('deno');
  const [platform] = fs.readdirSync(path.join(folder, 'node_modules/@deno'));
  const program = path.join(folder, 'node_modules/@deno', platform, 'deno');
  const reads = `--allow-read=${root},${modelFolder}`;
  const entries = ['index.js', 'bundle.js'].map((file) => pathToFileURL(path.join(root, 'node_modules/topk-lm', file)).href);
  const options = ['run', '--no-prompt', '--no-remote', '--no-npm', '--no-config', reads, '--allow-net=localhost'];
  await assertScript(t, root, program, options, entries, { DENO_DIR: path.join(root, 'cache'), DENO_NO_UPDATE_CHECK: '1' });
});

testIn('bun', 'Bun: either, by name', async (t, folder) => {
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const program = path.join(folder, `node_modules/@oven/bun-${platform}-${arch}/bin/bun`);
  const env = { DO_NOT_TRACK: '1' };
  await assertScript(t, createProject('bun'), program, ['run', '--no-install'], ['topk-lm', 'topk-lm/bundle'], env);
});

testIn('parcel', 'Parcel: either', async (t, folder) => {
  const browser = await openBrowser(t);
  for (const [name, entry] of [
    ['parcel', 'topk-lm'],
    ['parcel-bundle', 'topk-lm/bundle'],
  ]) {
    const root = createProject(name, entry);
    const program = path.join(folder, 'node_modules/parcel/lib/bin.js');
    const options = ['build', 'index.html', '--no-cache', '--cache-dir', 'cache', '--public-url', './'];
    await promisify(execFile)(process.execPath, [program, ...options], { cwd: root, timeout: 900_000 });
    const server = await serve({ '/': path.join(root, 'dist'), '/model/': modelFolder });
    t.after(() => server.close());
    for (const worker of [true, false]) await assertGolden(browser, server.url, '/model/', { backend: 'cpu', worker });
  }
});

/** What a user of Jest writes; the names in capitals are filled in. */
const JEST = `
import { TopKLM } from ENTRY;
test('the model continues', async () => {
  const model = await TopKLM.load(MODEL, { backend: 'cpu' });
  const found = [];
  for await (const { id } of model.generate(PROMPT, { maxTokens: IDS.length, temperature: 0 })) found.push(id);
  await model.dispose();
  expect(found).toEqual(IDS);
});
test('bytes of this realm are bytes', async () => {
  await expect(TopKLM.load({ 'config.json': new Uint8Array(2), 'model.safetensors': new Blob([]) })).rejects.toMatchObject({ code: 'config' });
});
`;

testIn('jest', 'Jest with modules of its virtual machine and no transform: either', async (_, folder) => {
  const root = createProject('jest');
  const { prompt_ids, ids } = golden();
  const jest = { transform: {}, testEnvironment: 'node', testMatch: ['<rootDir>/*.test.mjs'] };
  fs.writeFileSync(path.join(root, 'package.json'), JSON.stringify({ name: 'jest', private: true, type: 'module', jest }));
  for (const [file, entry] of [
    ['index', 'topk-lm'],
    ['bundle', 'topk-lm/bundle'],
  ]) {
    const values = { ENTRY: entry, MODEL: modelFolder, PROMPT: prompt_ids, IDS: ids };
    const text = JEST.replaceAll(/\b(ENTRY|MODEL|PROMPT|IDS)\b/g, (name) => JSON.stringify(values[name]));
    fs.writeFileSync(path.join(root, `${file}.test.mjs`), text);
  }
  const program = path.join(folder, 'node_modules/jest/bin/jest.js');
  const options = ['--experimental-vm-modules', program, '--rootDir', root, '--json', '--runInBand', '--no-watchman'];
  const run = promisify(execFile)(process.execPath, options, { cwd: root, timeout: 900_000 });
  const { stdout } = await run.catch((error) => error);
  const { numPassedTests, testResults } = JSON.parse(stdout);
  assert.equal(numPassedTests, 4, testResults.map(({ message }) => message).join('\n'));
});

/** A page is rendered once when it is built, so the package is imported there too; the app runs in the browser. */
const nextPage = (entry, app) => `
import { useEffect } from 'react';
import { TopKLM } from '${entry}';
export default function Page() {
  useEffect(() => { import('../${app}'); }, []);
  return <h1>{typeof TopKLM.load}</h1>;
}
`;

/** A Next project in `folder` with a page for each of `pages`: its file without the ending → its source. `build` ends with the exported site's folder. */
function nextProject(folder, name, pages) {
  const root = createProject('next', 'topk-lm', path.join(folder, name));
  fs.rmSync(path.join(root, 'index.html'));
  fs.mkdirSync(path.join(root, 'pages'));
  for (const [file, source] of Object.entries(pages)) fs.writeFileSync(path.join(root, `pages/${file}.jsx`), source);
  fs.writeFileSync(
    path.join(root, 'next.config.mjs'),
    `export default { output: 'export', outputFileTracingRoot: ${JSON.stringify(folder)} };\n`,
  );
  const program = path.join(folder, 'node_modules/next/dist/bin/next');
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
  return {
    root,
    build: async (bundler, timeout = 600_000) => {
      await promisify(execFile)(process.execPath, [program, 'build', bundler], { cwd: root, env, timeout, killSignal: 'SIGKILL' });
      return path.join(root, 'out');
    },
  };
}

/** Turbopack has been seen not to come to an end in a container, whatever it builds; whether it does so here is seen from a page without the package. */
async function turbopackEnds(folder) {
  const { build } = nextProject(folder, 'plain', { index: 'export default () => <h1>plain</h1>;' });
  return build('--turbopack', 60_000).then(
    () => true,
    ({ killed }) => !killed,
  );
}

for (const bundler of ['webpack', 'turbopack']) {
  testIn('next', `Next, built by ${bundler} and exported: either`, async (t, folder) => {
    const { root, build } = nextProject(folder, bundler, {
      index: nextPage('topk-lm', 'app.js'),
      bundle: nextPage('topk-lm/bundle', 'bundle.js'),
    });
    const app = fs.readFileSync(path.join(root, 'app.js'), 'utf8');
    fs.writeFileSync(path.join(root, 'bundle.js'), app.replace("from 'topk-lm'", "from 'topk-lm/bundle'"));
    let out;
    try {
      out = await build(`--${bundler}`, 180_000);
    } catch (error) {
      if (bundler === 'turbopack' && error.killed && !(await turbopackEnds(folder))) return t.skip('Turbopack does not end here');
      throw error;
    }
    const server = await serve({ '/': out, '/model/': modelFolder });
    t.after(() => server.close());
    const browser = await openBrowser(t);
    for (const file of ['index.html', 'bundle.html']) {
      assert.match(fs.readFileSync(path.join(out, file), 'utf8'), /<h1>function<\/h1>/);
      for (const worker of [true, false]) await assertGolden(browser, `${server.url}${file}`, '/model/', { backend: 'cpu', worker });
    }
  });
}
