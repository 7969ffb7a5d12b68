// docs/own-model.md as it stands there: its commands in order, in a folder of its own, until the model is seen in the explorer. Without PyTorch
// (npm run test:training brings it) the training is left out, and the model that it would have made is the shipped one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildCommand } from '../../scripts/lib/command.mjs';
import { modelIndex } from '../../scripts/lib/model-index.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { launch } from './harness.mjs';
import { loaded, openSite, serveSite, siteModule, STEP_TIMEOUT } from './page-kit.mjs';

const windows = process.platform === 'win32';
const page = fs.readFileSync(inRoot('docs/own-model.md'), 'utf8');
const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block);

/** An interpreter that can train, or null. */
function python() {
  const own = inRoot('training/.venv', windows ? 'Scripts/python.exe' : 'bin/python');
  const works = (name) => name && spawnSync(name, ['-c', 'import torch, tokenizers, safetensors']).status === 0;
  return [process.env.PYTHON, own].find(works) ?? null;
}

let state = 7;
const one = (words) => {
  state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
  return words[Math.floor((state / 2 ** 31) * words.length)];
};
const name = () => one(['Mia', 'Ben', 'Tuva', 'Omar', 'Ida']);
const thing = () => one(['kite', 'stone', 'cake', 'boat', 'drum', 'shell', 'lamp']);
const deed = () => one(['found', 'lost', 'hid', 'painted', 'broke', 'sold']);
/** Some 60 kB without separators, by a fixed rule. */
const sentence = () => `One day ${name()} ${deed()} a ${thing()}, and ${name()} ${deed()} the ${thing()} of ${name()}.`;
const text = Array.from({ length: 1_000 }, sentence).join('\n\n');

describe('your own model', { timeout: 1_800_000, skip: windows && 'the page is for a shell' }, () => {
  if (windows) return;
  let folder;
  let shell;
  let site;
  let browser;
  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-own-'));
    const [bin, mine] = ['bin', 'mine'].map((name) => path.join(folder, name));
    for (const made of [bin, mine]) fs.mkdirSync(made);
    fs.mkdirSync(path.join(folder, 'models'));
    fs.symlinkSync(await buildCommand(), path.join(bin, 'topk-lm'));
    shell = (commands) => {
      const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' };
      const { status, stdout, stderr } = spawnSync('sh', ['-euc', commands], { cwd: folder, env, encoding: 'utf8' });
      assert.equal(status, 0, `${commands}\n${stdout}\n${stderr}`);
      return stdout;
    };
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('the page has the commands that are run below', () => {
    const programs = blocks.map((block) => block.split('\n').filter(Boolean).at(-1).split(' ').slice(0, 2).join(' '));
    assert.deepEqual(programs, ['cd ..', 'topk-lm convert', 'topk-lm manifest', 'npm start']);
  });

  const trainer = python();
  test('a text becomes a model', { skip: trainer === null && 'PyTorch is not installed; npm run test:training runs this part' }, () => {
    fs.writeFileSync(path.join(folder, 'mine/mine.txt'), text);
    for (const part of ['topklm', 'configs']) {
      fs.cpSync(inRoot('training', part), path.join(folder, 'training', part), { recursive: true });
    }
    fs.writeFileSync(path.join(folder, 'bin/python'), `#!/bin/sh\nexec '${trainer}' "$@"\n`, { mode: 0o755 });
    shell(blocks[0]);
  });

  test('the model becomes a folder for the site, with statistics', () => {
    const model = path.join(folder, 'mine/Mine');
    if (!fs.existsSync(model)) {
      fs.writeFileSync(path.join(folder, 'mine/mine.txt'), text.slice(0, 12_000));
      const shipped = inRoot('models/Llama-TopK-Stories-16M');
      const [step] = JSON.parse(fs.readFileSync(path.join(shipped, 'manifest.json'), 'utf8')).steps;
      const kept = new RegExp(`^(step${step}|[^/]+\\.(json|safetensors))(/|$)`);
      const filter = (file) => file === shipped || kept.test(path.relative(shipped, file));
      fs.cpSync(shipped, model, { recursive: true, filter });
      fs.rmSync(path.join(model, 'manifest.json'));
      const config = path.join(model, 'config.json');
      const { dense_twin, ...own } = JSON.parse(fs.readFileSync(config, 'utf8')); // the twin does not come along
      fs.writeFileSync(config, JSON.stringify(own));
    }
    assert.match(shell(blocks[1]), /models\/Mine: weights of [\d.]+ MB became [\d.]+ MB in \d+ files?, \d+ training checkpoints with it/);
    const said = shell(blocks[2]);
    assert.match(said, /note: documents longer than the context were cut into windows of it: \d+ into \d+/);
    assert.match(said, /models\/Mine\/manifest\.json/);
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'models/Mine/manifest.json'), 'utf8'));
    assert.equal(manifest.features, 'features');
    assert.ok(manifest.steps.length > 0);
  });

  test('the site opens on it, reads with it, and knows its neurons', async () => {
    // What `npm start` adds to the models it serves: the list.
    const models = path.join(folder, 'models');
    fs.writeFileSync(path.join(models, 'index.json'), JSON.stringify(modelIndex(models)));
    site = await serveSite({ mounts: { '/some/folder/models/': models } });
    browser = await launch({ webgpu: false });
    const index = JSON.parse(fs.readFileSync(path.join(models, 'Mine/features/index.json'), 'utf8'));
    const [layer] = index.layers.slice(-1);
    const from = (index.layers.length - 1) * index.d_model;
    const neuron = index.columns.n.slice(from).indexOf(index.entropy.n);
    assert.ok(neuron >= 0, 'some neuron is active often');
    const { plainLabel } = await siteModule('neurons.ts');
    const { marker } = await siteModule('../../../js/src/features/beginnings.ts');

    const { page, close } = await openSite(browser, site, `#/m/Mine/${layer}/${neuron}`, { ignore: [/404/] });
    page.setDefaultTimeout(STEP_TIMEOUT);
    await page.locator(`[data-neuron="${layer}.${neuron}"]`).waitFor();
    await page
      .getByText(plainLabel(marker(index.beginnings)(index.columns.label[from + neuron])), { exact: false })
      .first()
      .waitFor();
    await page.evaluate(() => (location.hash = '#/browse'));
    await page.locator('[data-row]').first().waitFor();
    await page.evaluate(() => (location.hash = '#/explore'));
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-state=live]').waitFor();
    assert.equal(await page.getByRole('combobox', { name: 'Model' }).inputValue(), 'Mine');
    await close();
  });
});
