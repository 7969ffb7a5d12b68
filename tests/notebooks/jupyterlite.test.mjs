// examples/notebooks/jupyterlite: the site built as for a host, its notebook's cells run in Chromium.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/lib/run.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch } from '../browser/harness.mjs';
import { environment, PLAIN, STEERED, workspace } from '../python/host.mjs';

test('JupyterLite, JavaScript kernel: load, run, plot, steer, compare', { skip: process.platform === 'win32' }, async (t) => {
  const bin = await environment(t, 'jupyterlite', 'examples/notebooks/jupyterlite/requirements.txt');
  if (!bin) return;
  const root = path.join(workspace(t, 'jupyterlite'), 'jupyterlite');
  const out = path.join(root, 'site');
  const env = { PATH: `${path.dirname(bin('python'))}:${process.env.PATH}` };
  await run('sh', ['build.sh', out], { cwd: root, env });
  const site = await serve({ '/': out });
  t.after(() => site.close());
  const browser = await launch({ webgpu: false });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const said = [];
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  await page.goto(`${site.url}lab/index.html?path=javascript.ipynb`);
  const ready = () => globalThis.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle';
  await page.waitForFunction(ready, undefined, { timeout: 180_000 }).catch((error) => {
    throw new Error(`${error.message}\n${said.join('\n')}`);
  });
  const ran = page.evaluate(() => globalThis.jupyterapp.commands.execute('notebook:run-all-cells'));
  const cells = () =>
    page.evaluate(() =>
      globalThis.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
        .filter((cell) => cell.cell_type === 'code')
        .map((cell) => ({ count: cell.execution_count, outputs: cell.getOutputs() })),
    );
  await ran;
  const outputs = (await cells()).map((cell) => cell.outputs);
  const shown = JSON.stringify(outputs);
  for (const each of outputs.flat()) assert.notEqual(each.output_type, 'error', shown.slice(0, 3000));
  assert.ok(
    outputs[1].some((each) => each.data?.['image/svg+xml']),
    shown.slice(0, 3000),
  );
  const text = outputs
    .flat()
    .map((each) => [each.text ?? ''].flat().join(''))
    .join('');
  assert.ok(text.includes(`plain: ${PLAIN}`), text);
  assert.ok(text.includes(`steered: ${STEERED}`), text);
  assert.match(text, /TopK 4\d, dense 10\d\d/);
});
