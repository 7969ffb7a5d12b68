// examples/notebooks/jupyterlite: the site built as for a host, Pyodide in it, so that it asks no CDN; all cells of its notebooks run in Chromium.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { Failure, run } from '../../scripts/lib/run.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { step } from '../../scripts/lib/steps.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { environment, PLAIN, STEERED, workspace } from '../python/host.mjs';

const SOURCE = 'examples/notebooks/jupyterlite';
const PYODIDE = 'target/python/jupyterlite-pyodide';

/** What pyodide.py makes, or null, with a word about it, if the registries cannot be reached. */
async function pyodide(t, python) {
  const inputs = [`${SOURCE}/requirements.txt`, `${SOURCE}/pyodide.py`];
  try {
    await step('pyodide of jupyterlite', { inputs, outputs: [PYODIDE] }, () =>
      run(python, [inRoot(SOURCE, 'pyodide.py'), inRoot(PYODIDE)]),
    );
    return inRoot(PYODIDE);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    t.skip('Pyodide or the wheels of its kernel could not be installed');
    return null;
  }
}

/** After "run all", the outputs of each code cell, and what was asked of the site; an error in a cell fails the test, and asking another host does. */
async function runAll(browser, site, name) {
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  const said = [];
  const asked = [];
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  page.on('request', (request) => /^(http|ws)/.test(request.url()) && asked.push(request.url())); // of its workers too
  await page.goto(`${site}lab/index.html?path=${name}`);
  const ready = () => globalThis.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle';
  await page.waitForFunction(ready, undefined, { timeout: 600_000 }).catch((error) => {
    throw new Error(`${error.message}\n${said.join('\n')}`);
  });
  await page.evaluate(() => globalThis.jupyterapp.commands.execute('notebook:run-all-cells'));
  const cells = await page.evaluate(() =>
    globalThis.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
      .filter((cell) => cell.cell_type === 'code')
      .map((cell) => ({ count: cell.execution_count, outputs: cell.getOutputs() })),
  );
  const shown = JSON.stringify(cells).slice(0, 3000);
  const outputs = cells.map((cell) => cell.outputs);
  for (const each of outputs.flat()) assert.notEqual(each.output_type, 'error', shown);
  assert.equal(cells.at(-1).count, cells.length, `${shown}\n${said.join('\n')}`);
  assert.deepEqual(
    asked.filter((url) => !url.startsWith(site)),
    [],
  );
  await page.close();
  return { outputs, asked: asked.map((url) => url.slice(site.length)) };
}

const textOf = (outputs) =>
  outputs
    .flat()
    .map((each) => [each.text ?? each.data?.['text/plain'] ?? ''].flat().join(''))
    .join('');

test('JupyterLite: load, run, plot, steer, compare', { skip: process.platform === 'win32' }, async (t) => {
  const bin = await environment(t, 'jupyterlite');
  const own = bin && (await pyodide(t, bin('python')));
  if (!own) return;
  const root = path.join(workspace(t, 'jupyterlite'), 'jupyterlite');
  const out = path.join(root, 'site');
  await run('sh', ['build.sh', out, own], { cwd: root, env: { PATH: `${path.dirname(bin('python'))}:${process.env.PATH}` } });
  const site = await serve({ '/': out });
  t.after(() => site.close());
  const browser = await launch({ webgpu: false });
  t.after(() => browser.close());
  const common = (text) => {
    assert.ok(text.includes(`plain: ${PLAIN}`), text);
    assert.ok(text.includes(`steered: ${STEERED}`), text);
    assert.match(text, /TopK 4\d, dense 10\d\d/);
  };
  await t.test('JavaScript kernel', async () => {
    const { outputs } = await runAll(browser, site.url, 'javascript.ipynb');
    assert.ok(outputs[1].some((each) => each.data?.['image/svg+xml']));
    common(textOf(outputs));
  });
  await t.test('Pyodide kernel', async () => {
    const { outputs, asked } = await runAll(browser, site.url, 'pyodide.ipynb');
    assert.ok(asked.includes('static/pyodide/pyodide.asm.wasm'), asked.join('\n'));
    const text = textOf(outputs);
    assert.equal(textOf(outputs[0]), '48');
    assert.ok(text.match(/█/g)?.length > 100, text);
    common(text);
  });
});
