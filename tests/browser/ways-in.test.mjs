// How a model of the reader's own gets in: an address, a name on a hub, files; and what happens when it does not.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Features } from 'topk-lm/features';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { assertUsable, LOAD_TIMEOUT, loaded, openSite, shippedModel, siteModule, withSite } from './page-kit.mjs';

const GOLDENS = inRoot('tests/goldens/models');
const { folderOf, modelFiles, otherFormat } = await siteModule('ways-in.ts');
const { hubFolder } = await siteModule('../../../js/src/sources/hub.ts');

const BASE = 'https://site.example/project/';

test('an address, a path, a name on the hub; anything else is a sentence', () => {
  for (const [text, url] of [
    ['https://a.example/m', 'https://a.example/m/'],
    [' https://a.example/m/#part ', 'https://a.example/m/'],
    ['http://localhost:8000/m/', 'http://localhost:8000/m/'],
    ['http://127.0.0.1:8000/m', 'http://127.0.0.1:8000/m/'],
    ['./models/x', 'https://site.example/project/models/x/'],
    ['/x/', 'https://site.example/x/'],
    ['owner/name', hubFolder('owner/name')],
    ['owner/name@v1.0', hubFolder('owner/name@v1.0')],
  ]) {
    assert.equal(folderOf(text, BASE).url?.href, url, text);
  }
  assert.match(folderOf('https://a.example/m/x.Q4_K_M.gguf?download=true', BASE).fault, /^“x\.Q4_K_M\.gguf” is a GGUF file/);
  assert.match(folderOf('hello', BASE).fault, /^“hello” is neither an address nor a model’s name/);
  assert.match(folderOf('http://a.example/m/', BASE).fault, /must begin with https:/);
  for (const text of ['ftp://a.example/m/', 'javascript:alert()']) assert.match(folderOf(text, BASE).fault, /must begin with https:/, text);
  assert.match(folderOf('localhost:1', BASE).fault, /^Write http:\/\/localhost:1 /);
  assert.match(folderOf('a.example:8000/m', BASE).fault, /^Write https:\/\/a\.example:8000\/m /);
  for (const text of ['C:\\models\\x', 'c:/models/x', '~/models/x', 'file:///models/x'])
    assert.match(folderOf(text, BASE).fault, /choose the folder under “A folder on this device”/, text);
});

test('the files of a folder, wherever in it the model is', () => {
  const files = modelFiles([
    ['top/readme.md', 'r'],
    ['top/m/config.json', 'c'],
    ['top/m/features/index.json', 'i'],
    ['top/m/step3/config.json', 's'],
  ]);
  assert.deepEqual(files, { 'config.json': 'c', 'features/index.json': 'i', 'step3/config.json': 's' });
  assert.match(modelFiles([['a/readme.md', 'r']]), /has no config\.json/);
  assert.match(modelFiles([]), /empty/);
  for (const names of [['m.Q4_K.gguf'], ['config.json', 'm.gguf']]) {
    assert.match(modelFiles(names.map((name) => [`a/${name}`, ''])), /^“m\..*gguf” is a GGUF file: .* topk-lm convert makes a folder/);
  }
  assert.match(modelFiles([['a/pytorch_model.bin', '']]), /safetensors/);
  assert.equal(otherFormat('text.json'), null);
});

test('of a folder what no path of a model can be called is left out, such as what Windows keeps beside a download', () => {
  const names = [
    'config.json',
    'model.safetensors',
    'config.json:Zone.Identifier',
    'notes: old.txt',
    'a\\b.txt',
    '\ud800.txt',
    'step3/a:b',
  ];
  const files = modelFiles(names.map((name) => [`m/${name}`, name]));
  assert.deepEqual(Object.keys(files), ['config.json', 'model.safetensors', 'step3/a:b']);
  assert.doesNotThrow(() => Features.open(Object.fromEntries(Object.keys(files).map((name) => [name, new Uint8Array(1)]))));
});

test('a long address is quoted by its beginning', () => {
  const { fault } = folderOf(`ftp${'x'.repeat(300)}`, BASE);
  assert.ok(fault.length < 200, fault);
});

describe('ways in', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  let page;
  let elsewhere;
  before(async () => {
    elsewhere = await serve({ '/': GOLDENS }, { headers: { 'access-control-allow-origin': '*' } });
  });
  after(() => elsewhere?.close());
  withSite({ hash: '#/byo', load: true, ignore: [/404/, /Failed to load/] }, (on) => {
    ({ site, browser, page } = on);
  });
  const shipped = shippedModel();
  const enter = async (text) => {
    await page.getByRole('textbox', { name: /A folder on the web/ }).fill(text);
    await page.getByRole('button', { name: 'Open', exact: true }).click();
  };
  const chosen = () => page.getByRole('combobox', { name: 'Model' });

  test('a bare word is refused, and the model stays', async () => {
    await enter('hello');
    await page.getByRole('alert').getByText('“hello” is neither').waitFor();
    assert.equal(await chosen().inputValue(), shipped.name);
    assert.equal(await page.locator('[data-backend=cpu]').count(), 1);
    await assertUsable(page);
  });

  test('a folder that is none gives way to the model before it', async () => {
    await enter(`${elsewhere.url}nowhere`);
    await page.getByRole('button', { name: /^Download from localhost/ }).click();
    const alert = page.getByRole('alert');
    await alert.getByText('is in use again').waitFor({ timeout: LOAD_TIMEOUT });
    assert.match(await alert.innerText(), /nowhere/);
    await page.locator('[data-backend=cpu]').waitFor({ timeout: LOAD_TIMEOUT });
    assert.equal(await chosen().inputValue(), shipped.name);
    assert.doesNotMatch(await chosen().innerText(), /nowhere/);
    await alert.getByRole('button', { name: 'Close' }).click();
    assert.equal(await alert.count(), 0);
  });

  test('a link to a folder that is none leads to the site’s own model', async () => {
    const { page: fresh, close } = await openSite(browser, site, `#/byo?model=${encodeURIComponent(`${elsewhere.url}nowhere/`)}`, {
      ignore: [/404/, /Failed to load/],
    });
    await fresh.getByRole('button', { name: /^Download from localhost/ }).click();
    await fresh.getByRole('alert').getByText('is in use instead').waitFor({ timeout: LOAD_TIMEOUT });
    await fresh.locator('[data-backend=cpu]').waitFor({ timeout: LOAD_TIMEOUT });
    await close();
  });

  test('a folder of this device, served without encryption', async () => {
    await enter(`${elsewhere.url}llama-gqa`);
    await page.getByRole('button', { name: /^Download from localhost/ }).click();
    assert.equal(await loaded(page), 'cpu');
    assert.match(await chosen().innerText(), /llama-gqa/);
  });

  const drop = (folder) => {
    const names = fs.readdirSync(folder).filter((name) => fs.statSync(path.join(folder, name)).isFile());
    const files = names.map((name) => [name, fs.readFileSync(path.join(folder, name)).toString('base64')]);
    return page.evaluate((all) => {
      const data = new DataTransfer();
      for (const [name, base64] of all) data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
      document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
    }, files);
  };

  test('files dropped on the page', async () => {
    await drop(path.join(GOLDENS, 'llama-dense-bias'));
    await page.getByText('The model is dense').waitFor({ timeout: LOAD_TIMEOUT });
    assert.match(await chosen().innerText(), /dropped files/);
  });

  test('a model that takes the place of one of the same name: texts of the old one are marked, and written anew', async () => {
    const base = page.locator('[data-side=base]');
    const ids = () => base.getAttribute('data-ids');
    const write = async () => {
      await page.getByRole('button', { name: 'Run', exact: true }).click();
      await base.getByText('6 new tokens', { exact: true }).waitFor();
    };
    await page.evaluate(() => (location.hash = `${location.hash.replace('#/byo', '#/steer')}&len=6&temp=0&p=1+2+3`));
    await page.locator('main[data-page=steer]').waitFor();
    await write();
    const old = await ids();
    await drop(path.join(GOLDENS, 'llama-gqa'));
    await base.getByText('6 new tokens, from other settings').waitFor();
    assert.equal(await ids(), old);
    assert.equal(await page.getByRole('textbox', { name: 'Prompt' }).inputValue(), '1 2 3');
    assert.equal(await loaded(page), 'cpu');
    await write();
    assert.notEqual(await ids(), old);
  });
});
