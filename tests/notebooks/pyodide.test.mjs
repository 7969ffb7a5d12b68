// The cells of examples/notebooks/jupyterlite/pyodide.ipynb in Pyodide itself, in a worker as the Pyodide kernel runs them. (The kernel inside JupyterLite fetches a part of
// itself from a CDN, so a test without network cannot open it there.)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch } from '../browser/harness.mjs';
import { notebooks, npmPackages, PLAIN, STEERED } from '../python/host.mjs';

const WORKER = `
import { loadPyodide } from '/pyodide/pyodide.mjs';
let said = '';
try {
  const pyodide = await loadPyodide({ stdout: (line) => (said += line + '\\n') });
  for (const cell of await (await fetch('/cells.json')).json()) await pyodide.runPythonAsync(cell);
  postMessage({ said });
} catch (error) {
  postMessage({ said, error: String(error) });
}`;

test('Pyodide: load, run, plot, steer, compare', async (t) => {
  const folder = inRoot('target/python/pyodide');
  fs.cpSync(inRoot('tests/notebooks/pyodide'), folder, { recursive: true });
  if (!(await npmPackages(t, folder))) return;
  const notebook = JSON.parse(fs.readFileSync(path.join(notebooks, 'jupyterlite/pyodide.ipynb'), 'utf8'));
  const cells = notebook.cells.filter((cell) => cell.cell_type === 'code').map((cell) => cell.source.join(''));
  const pages = {
    '/': ['text/html', '<!doctype html><link rel="icon" href="data:,">'],
    '/worker.js': ['text/javascript', WORKER],
    '/cells.json': ['application/json', JSON.stringify(cells)],
    '/files/topk-lm.js': ['text/javascript', fs.readFileSync(inRoot('dist/npm/bundle.js'))],
  };
  const intercept = (request, response) => {
    const page = pages[request.url];
    if (page) response.writeHead(200, { 'content-type': page[0] }).end(page[1]);
    return page !== undefined;
  };
  const server = await serve({ '/pyodide/': path.join(folder, 'node_modules/pyodide'), '/files/models/': paths.models }, { intercept });
  t.after(() => server.close());
  const browser = await launch({ webgpu: false });
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const { said, error } = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const worker = new Worker('/worker.js', { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => resolve({ said: '', error: event.message });
      }),
  );
  assert.equal(error, undefined, said);
  assert.equal(said.match(/█/g)?.length > 100, true, said);
  assert.ok(said.includes(`plain: ${PLAIN}\nsteered: ${STEERED}\n`), said);
  assert.match(said, /TopK 4\d, dense 10\d\d/);
});
