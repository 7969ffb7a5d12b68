// examples/notebooks/jupyterlab.ipynb in JupyterLab, all cells, in Chromium.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { environment, freePort, PLAIN, startServer, STEERED, workspace } from '../python/host.mjs';

/** Further cells behind the others. */
function addCells(file, cells) {
  const notebook = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const [id, source] of Object.entries(cells)) {
    notebook.cells.push({ cell_type: 'code', id, metadata: {}, source, execution_count: null, outputs: [] });
  }
  fs.writeFileSync(file, JSON.stringify(notebook));
}

/** The code of python/README.md, so that what is printed there is run. */
function readme() {
  const blocks = [...fs.readFileSync(inRoot('python/README.md'), 'utf8').matchAll(/^```python\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  assert.equal(blocks.length, 1);
  return `import os\nos.chdir("../..")\nshown = model\n${blocks.join('\n')}\nmodel = shown`;
}

/** Calls that the notebook does without, each beside what must give the same. */
const MORE_CALLS = `
import numpy as np
prompt = "The baby was tired, so"
he = int((await model.encode(" he"))[-1])
plain = await model.run(prompt)
ids, before = plain.ids, plain.logits[0, he]
found = await model.set_each(prompt, he, layers=np.array([1, 2]), indices=[296, 7], values=[18, 3])
for effect, layer, index, value in zip(found.effects, (1, 2), (296, 7), (18, 3)):
    edit = {"layer": layer, "index": index, "action": "clamp", "value": value, "site": "topk_out", "positions": {"from": len(ids) - 1, "to": len(ids)}}
    alone = (await model.run(prompt, edits=[edit])).logits[0, he] - before
    assert abs(effect - alone) < 1e-4, (effect, alone)
assert abs(found.logit - before) < 1e-4 and abs(found.effects[0]) > 0.1, found

seeds = await model.generate_batch([{"prompt": prompt, "seed": seed, "max_tokens": 5} for seed in (1, 2**63)])
for seed, batched in zip((1, 2**63), seeds):
    alone = model.generate(prompt, seed=seed, max_tokens=5)
    await alone
    assert batched.text == alone.text and batched.seed == seed and len(batched.steps) == len(batched.ids) == 5, (batched, alone.text)

final = plain.logits
await model.load_checkpoint(928)
early = (await model.run(prompt)).logits
assert np.abs(early - final).max() > 1
await model.load_checkpoint("final")
assert (await model.run(prompt)).logits.tobytes() == final.tobytes()

sae = await twin.attach_sae("models/Llama-Dense-Stories-16M/saes/block2", error_term=True)
acts = (await twin.run(prompt, hooks=[sae["hook"] + ".hook_sae_acts_post"])).hooks[sae["hook"] + ".hook_sae_acts_post"]
assert acts.shape == (len(ids), sae["dSae"]) and 0 < (acts != 0).sum(axis=1).mean() < 200, sae
quality = await twin.sae_quality(prompt)
assert quality["splicedLoss"] != quality["baseLoss"] and 0 < quality["saes"][0]["fvu"] < 1, quality
assert twin._loaded["saes"][0]["options"] == {"hook": sae["hook"], "errorTerm": True}, twin._loaded
await twin.detach_saes()
try:
    await twin.sae_quality(prompt)
except topk_lm.TopKArgumentError as error:
    print(error)
`;

/**
 * Holds back the request for the shell of its own in which JupyterLab gives the kernel a widget's messages. Until then they go where the cells go: what a
 * page sends at its start waits behind the cell that waits for it. The slow first start of a new environment can do the same.
 */
const delaySubshells = (page, ms) =>
  page.addInitScript((delay) => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
      if (text.includes('"create_subshell_request"')) setTimeout(() => send.call(this, data), delay);
      else send.call(this, data);
    };
  }, ms);

for (const delay of [0, 8000])
  test(`JupyterLab: load, run, plot, steer, compare, select; shells for widgets after ${delay} ms`, async (t) => {
    const bin = await environment(t, 'notebooks', { own: true });
    if (!bin) return;
    const root = workspace(t, 'jupyterlab');
    const loads =
      'twin = topk_lm.load("models/Llama-Dense-Stories-16M")\nmodel = topk_lm.load("models/Llama-TopK-Stories-16M", checkpoints=True)';
    const more = { loads: `${loads}\ndisplay(twin, model)`, more: MORE_CALLS, end: 'model = shown' };
    const added = { readme: readme(), ...(delay === 0 ? more : {}) };
    addCells(path.join(root, 'jupyterlab.ipynb'), added);
    const selected = -1 - Object.keys(added).length; // the cell that prints what is selected
    const home = path.join(root, '.home');
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/lab/tree/jupyterlab.ipynb`;
    const flags = [
      '--no-browser',
      '--allow-root',
      '--expose-app-in-browser',
      `--ServerApp.port=${port}`,
      '--IdentityProvider.token=',
      '--ServerApp.ip=127.0.0.1',
    ];
    const env = {
      JUPYTER_CONFIG_DIR: home,
      JUPYTER_RUNTIME_DIR: path.join(home, 'run'),
      JUPYTERLAB_WORKSPACES_DIR: path.join(home, 'work'),
      IPYTHONDIR: home,
    };
    await startServer(t, bin('jupyter-lab'), [...flags, `--ServerApp.root_dir=${root}`], {
      url: `http://127.0.0.1:${port}/api`,
      cwd: root,
      env,
    });
    const browser = await launch({ webgpu: false });
    t.after(() => browser.close());
    const page = await browser.newPage();
    page.setDefaultTimeout(STEP_TIMEOUT);
    const said = [];
    page.on('pageerror', (error) => said.push(String(error)));
    if (delay > 0) await delaySubshells(page, delay);
    await page.goto(url);
    await page.waitForFunction(
      () => globalThis.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle',
      undefined,
      { timeout: 900_000 },
    );
    const cells = () =>
      page.evaluate(() =>
        globalThis.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
          .filter((cell) => cell.cell_type === 'code')
          .map((cell) => ({ count: cell.execution_count, outputs: cell.getOutputs() })),
      );
    const ran = page.evaluate(() => globalThis.jupyterapp.commands.execute('notebook:run-all-cells')).catch(() => {});
    // The kernel runs the cells one after another, so the last one's number says that all have run. JupyterLab may leave out the number of another: with
    // slow shells, a cell with all its output once had none.
    await page
      .waitForFunction(
        () => {
          const all = globalThis.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.filter((cell) => cell.cell_type === 'code');
          return all.at(-1).execution_count !== null || all.some((cell) => cell.getOutputs().some((one) => one.output_type === 'error'));
        },
        undefined,
        { timeout: 900_000, polling: 500 },
      )
      .catch(async (error) => {
        throw new Error(
          `${error.message}\n${said.join('\n')}\n${JSON.stringify(await cells(), (name, value) => (name === 'image/png' ? '…' : value)).slice(0, 8000)}`,
        );
      });
    await Promise.race([ran, new Promise((resolve) => setTimeout(resolve, 20_000).unref())]);
    const outputs = (await cells()).map(({ outputs }) => outputs);
    for (const each of outputs.flat()) assert.notEqual(each.output_type, 'error', `${each.ename}: ${each.evalue}`);
    const textOf = (index) => outputs[index].map((each) => [each.text ?? each.data?.['text/plain'] ?? ''].flat().join('')).join('');
    assert.match(textOf(1), /\(7, 4096\),\s+\(7, 1024\)/);
    assert.ok(
      outputs[2].some((each) => each.data?.['image/png']),
      'a plot',
    );
    assert.equal(textOf(3), `${PLAIN}\n${STEERED}\n`);
    assert.match(textOf(4), /TopK: {2}\[4\d( 4\d)+\]\ndense: \[10\d\d( 10\d\d)+\]\n he /);
    assert.match(textOf(5), /^edit .*layer.*9/);
    assert.ok(textOf(7).includes(STEERED), textOf(7));
    if (delay === 0) assert.match(textOf(9), /no autoencoder is attached/);

    // The grid shows the last generation; a click comes back to Python.
    const first = page.locator('.topk-grid').first().locator('tbody button').first();
    await first.click();
    const [, index] = /neuron (\d+)/.exec(await first.getAttribute('aria-label'));
    await page.locator(`.topk-grid button[aria-pressed="true"][data-index="${index}"]`).first().waitFor();
    // The selection and the cell travel on two channels, so the cell may be the first to arrive.
    const wanted = `'layer': 2, 'index': ${index}, 'position': 0`;
    for (const end = Date.now() + 600_000; !JSON.stringify((await cells()).at(selected).outputs).includes(wanted); ) {
      assert.ok(Date.now() < end, `no ${wanted} in ${JSON.stringify((await cells()).at(selected))}`);
      await page.evaluate(async (fromEnd) => {
        const { commands, shell } = globalThis.jupyterapp;
        shell.currentWidget.content.activeCellIndex = shell.currentWidget.content.widgets.length + fromEnd;
        await commands.execute('notebook:run-cell');
      }, selected);
    }
    assert.deepEqual(said, []);
  });
