// About and Your model: the operable picture, the race where there is no GPU, a folder and an address of the reader's own.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { STEP_TIMEOUT, assertCount, assertUsable, hashOf, loaded, openSite, shippedModel, withSite } from './page-kit.mjs';

describe('about and your model', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let site;
  let browser;
  let page;
  withSite({ hash: '#/about' }, (on) => {
    ({ site, browser, page } = on);
  });

  test('the picture keeps as many numbers as its slider says', async () => {
    assert.equal(await loaded(page), 'cpu');
    const { topk_k: k, topk_post: post } = model.read('config.json');
    await page.locator(`[data-kept="${k}"]`).waitFor();
    await page.getByRole('slider', { name: /^k =/ }).focus();
    await page.keyboard.press('ArrowLeft');
    await page.locator(`[data-kept="${k - 1}"]`).waitFor();
    const rows = page.locator('figure', { hasText: 'what the next block sees' }).locator('tbody tr');
    // What was kept and is below 0, a block with ReLU sets to 0 too.
    const before = page.locator('figure', { hasText: 'Before TopK' }).locator('tbody tr');
    const kept = (await before.evaluateAll((all) => all.map(({ cells }) => [...cells].map((cell) => cell.textContent)))).filter(
      ([, , isKept]) => isKept === 'yes',
    );
    assert.equal(kept.length, k - 1);
    const left = kept.filter(([, value]) => post !== 'relu' || !/^[-−]/.test(value));
    assert.ok(left.length > 0);
    await assertCount(rows, left.length);
    if (left.length < kept.length) await page.getByText(`Those below 0 become 0 too, so ${left.length} are left`).waitFor();
    await page.getByLabel('Text (its last token is shown)').fill('The cat sat on the bed');
    await page.getByText(/at “bed”/).waitFor();
    await page.locator(`[data-kept="${k - 1}"]`).waitFor();
    // Its button is done then: the keyboard goes to the control beside it.
    await page.getByRole('button', { name: 'As trained' }).focus();
    await page.keyboard.press('Enter');
    await page.locator(`[data-kept="${k}"]`).waitFor();
    await page.locator('input[type=checkbox]:focus').waitFor();
  });

  test('a text longer than the model takes is cut in the picture, and said', async () => {
    const text = page.getByLabel('Text (its last token is shown)');
    await text.fill('a cat '.repeat(500));
    await page.getByText(/this model takes at most/).waitFor();
    assert.equal(await page.getByRole('alert').count(), 0);
    await text.fill('The cat sat on the bed');
    await page.getByText(/this model takes at most/).waitFor({ state: 'detached' });
  });

  test('without WebGPU the race says so, and times the CPU’s sort', async () => {
    const { hidden_size: width, topk_k: k } = model.read('config.json');
    assert.equal(
      await page.getByLabel('Rows × width, and k').locator('option').first().innerText(),
      `256 × ${width.toLocaleString('en')}, k = ${k}, this model`,
    );
    await page.getByRole('button', { name: 'Race' }).click();
    await page.locator('[data-race=cpu]').waitFor();
    assert.match(await page.locator('[data-race]').innerText(), /no WebGPU.*\d ms/s);
  });

  test('shapes that other engines were measured on stand with their figures, and with where those are from', async () => {
    const shapes = page.getByLabel('Rows × width, and k');
    const table = page.getByRole('table', { name: /^Other engines/ });
    assert.equal(await table.count(), 0);
    await shapes.selectOption({ label: '128 × 4,096, k = 1,024' });
    for (const name of ['topk-lm, WebGPU', 'tfjs, WebGPU', 'onnxruntime-web, WebGPU', 'a full sort in JavaScript']) {
      assert.match(
        await table
          .getByRole('row')
          .filter({ has: page.getByText(name, { exact: true }) })
          .innerText(),
        /\d ms$/,
      );
    }
    await page.getByText(/medians of 5 rounds on .*20\d\d\. WebGPU was emulated/).waitFor();
    await assertUsable(page);
    await shapes.selectOption({ index: 0 });
    assert.equal(await table.count(), 0);
  });

  test('a browser that never hands out its GPU ends the race, with the CPU’s sort', async () => {
    const fresh = await openSite(browser, site, '#/about');
    try {
      const there = fresh.page;
      await there.getByRole('button', { name: 'Race' }).waitFor({ timeout: STEP_TIMEOUT });
      await there.clock.install();
      await there.evaluate(() => {
        const requestAdapter = () => {
          globalThis.asked = true;
          return new Promise(() => {});
        };
        Object.defineProperty(navigator, 'gpu', { value: { requestAdapter } });
      });
      await there.getByRole('button', { name: 'Race' }).click();
      await there.clock.runFor(100); // the pause in which the page shows that it is busy
      await there.waitForFunction(() => globalThis.asked, undefined, { polling: 'raf' });
      await there.clock.fastForward(21_000);
      await there.locator('[data-race=cpu]').waitFor({ timeout: STEP_TIMEOUT });
      assert.match(await there.locator('[data-race]').innerText(), /did not answer for 20 s.*\d ms/s);
    } finally {
      await fresh.close();
    }
  });

  test('the licenses are there: ours, and those of the crates and npm packages in the site', async () => {
    const texts = {};
    for (const name of ['MIT', 'Apache-2.0', 'packages of others']) {
      const href = await page.getByRole('link', { name, exact: true }).getAttribute('href');
      const answer = await fetch(new URL(href, site.url));
      assert.match(answer.headers.get('content-type'), /^text\/plain/);
      texts[name] = await answer.text();
    }
    assert.match(texts.MIT, /The topk-lm authors/);
    assert.match(texts['Apache-2.0'], /Version 2\.0/);
    for (const name of ['tokenizers', 'wgpu', 'svelte', 'd3-scale', '@tanstack/virtual-core', 'minisearch']) {
      assert.match(texts['packages of others'], new RegExp(`^${name} \\d[^ ]* \\(`, 'm'));
    }
  });

  test('about is accessible', () => assertUsable(page));

  test('the contents of the model are listed; a model on another site is named by its host, and asked about, before any request', async () => {
    await page.getByRole('link', { name: 'Your model' }).click();
    await page.locator('tr[data-state=there]', { hasText: 'config.json' }).waitFor();
    const state = await page.locator('tr', { hasText: 'features/' }).first().getAttribute('data-state');
    assert.equal(state, model.features ? 'there' : 'missing');
    const outside = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(new URL(site.url).origin) && !/^(blob|data):/.test(request.url())) outside.push(request.url());
    });
    await page.getByRole('textbox', { name: /folder on the web/ }).fill('http://models.example/one');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    assert.match(await page.getByRole('alert').innerText(), /https:\/\//);
    await page.getByRole('textbox', { name: /folder on the web/ }).fill('hello');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    assert.match(await page.getByRole('alert').innerText(), /“hello” is neither an address/);
    assert.equal(hashOf(page).params.model, undefined);
    await page.getByRole('textbox', { name: /folder on the web/ }).fill('https://models.example/one');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByRole('button', { name: 'Download from models.example' }).waitFor();
    assert.deepEqual(outside, []);
    await assertUsable(page);
    await page.goBack();
    assert.equal(await loaded(page), 'cpu');
  });

  test('embedded, the frame is hidden and the page works', async () => {
    const fresh = await openSite(browser, site, '#/about', { search: '?backend=cpu&embed=1' });
    try {
      await fresh.page.locator('[data-kept]').waitFor({ timeout: STEP_TIMEOUT });
      assert.equal(await fresh.page.getByRole('navigation').count(), 0);
      assert.equal(await fresh.page.getByRole('banner').count(), 0);
    } finally {
      await fresh.close();
    }
  });

  test('a picked folder runs; one without a model is named', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-picked-'));
    const empty = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-empty-'));
    const holder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-holder-'));
    try {
      const namesake = path.join(holder, model.name);
      fs.mkdirSync(namesake);
      for (const into of [folder, namesake])
        for (const name of ['config.json', 'tokenizer.json', 'model.safetensors'])
          fs.copyFileSync(path.join(model.folder, name), path.join(into, name));
      fs.writeFileSync(path.join(empty, 'notes.txt'), 'no model');
      const input = page.locator('main input[type=file]');
      await input.setInputFiles(empty);
      assert.match(await page.getByRole('alert').innerText(), /config\.json/);
      assert.equal(await input.inputValue(), '', 'the same folder again must be a change again');
      await input.setInputFiles(folder);
      await page.getByRole('heading', { name: /^What topk lm picked/ }).waitFor();
      await page.locator('tr[data-state=there]', { hasText: 'config.json' }).waitFor();
      await page.locator('tr[data-state=missing]', { hasText: 'topk-lm analyze' }).first().waitFor();
      await page.getByRole('link', { name: 'Steer', exact: true }).click();
      await page.getByRole('spinbutton', { name: 'New tokens' }).fill('4');
      await page.getByRole('button', { name: 'Run' }).click();
      await page.locator('[data-side=base]').getByText('4 new tokens').waitFor();
      await page.getByRole('link', { name: 'Your model', exact: true }).click();
      await input.setInputFiles(namesake);
      await page.getByRole('heading', { name: /\(yours\) includes$/ }).waitFor();
      await page.locator('tr[data-state=missing]', { hasText: 'topk-lm analyze' }).first().waitFor();
      // No server has the card of such a folder.
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'About' }).click();
      await page.getByRole('heading', { name: 'Licenses' }).waitFor();
      assert.equal(await page.getByRole('link', { name: 'card', exact: true }).count(), 0);
    } finally {
      for (const name of [folder, empty, holder]) fs.rmSync(name, { recursive: true, force: true });
    }
  });
});
