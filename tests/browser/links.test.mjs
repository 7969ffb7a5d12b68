// What leaves the page comes back: links that cannot be read in full say so, a text too long for a link goes into a file and opens again.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  assertUsable,
  chips,
  encodeIds,
  hashOf,
  LOAD_TIMEOUT,
  loaded,
  openSite,
  pageTime,
  saved,
  shippedModel,
  STEP_TIMEOUT,
  withSite,
} from './page-kit.mjs';

/** Before the vocabulary is there, tokens are shown by their ids: `#17`. */
const tokensRead = (page) => page.waitForFunction(() => /^[^#]/.test(document.querySelector('[role=option]')?.textContent ?? '#'));
const idsOf = async (page, side) => (await page.locator(`[data-side=${side}]`).getAttribute('data-ids')).split(',').map(Number);
const LONG = 'The little dog ran to the tall tree and saw a bird. '.repeat(75);

describe('links and files', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let site;
  let browser;
  let page;
  let file;
  withSite({ hash: '#/explore', serve: { intercept: roomy }, ignore: [/404/] }, (on) => {
    ({ site, browser, page } = on);
  });

  /** The shipped model as one with room for long texts, in a folder of its own. */
  function roomy(request, response) {
    const name = /\/roomy\/([^?]*)/.exec(request.url)?.[1];
    if (name === undefined) return false;
    const source = path.join(model.folder, name);
    if (!['config.json', 'model.safetensors', 'tokenizer.json', 'generation_config.json'].includes(name) || !fs.existsSync(source)) {
      response.writeHead(404).end();
    } else if (name === 'config.json') {
      response.end(JSON.stringify({ ...model.read(name), max_position_embeddings: 2048 }));
    } else response.end(fs.readFileSync(source));
    return true;
  }

  /** Drops a file on the page, as the browser does it. */
  async function drop(on, name, content) {
    const transfer = await on.evaluateHandle(
      ([title, text]) => {
        const data = new DataTransfer();
        data.items.add(new File([text], title, { type: 'application/json' }));
        return data;
      },
      [name, content],
    );
    await on.dispatchEvent('main', 'dragover', { dataTransfer: transfer });
    await on.getByText('Drop a saved text or a model’s folder to open it.').waitFor();
    await on.dispatchEvent('main', 'drop', { dataTransfer: transfer });
    await on.getByText('Drop a saved text or a model’s folder to open it.').waitFor({ state: 'detached' });
  }

  test('a shared text whose prompt has no length is shown, and not run again', async () => {
    const ids = encodeIds([1, 20, 30, 40]);
    const fresh = await openSite(browser, site, `#/steer?b=${ids}&s=${ids}&e=1.2_ablate_0&len=2`, { ignore: [/404/] });
    await loaded(fresh.page);
    await pageTime(fresh.page, 500);
    assert.equal(await fresh.page.locator('[data-doing]').getAttribute('data-doing'), 'nothing');
    assert.deepEqual(await idsOf(fresh.page, 'base'), [1, 20, 30, 40]);
    assert.equal(await fresh.page.locator('[data-shared]').count(), 0);
    await fresh.close();
  });

  test('a text too long for a link is kept by a reload, and saved as a file', async () => {
    await page.evaluate((url) => (location.hash = `#/explore?model=${encodeURIComponent(url)}`), `${site.url}roomy/`);
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('textbox', { name: 'Text' }).fill(LONG);
    await page.getByRole('button', { name: 'Save as file' }).waitFor();
    await page.locator('[data-state=live]').waitFor({ timeout: LOAD_TIMEOUT });
    assert.equal(await page.getByRole('button', { name: 'Share' }).count(), 0);
    assert.equal(hashOf(page).params.t, undefined);
    assert.ok(page.url().length < 2200, 'the address stays short');
    const tokens = await chips(page).allTextContents();
    assert.ok(tokens.length > 700);
    await page.reload();
    await tokensRead(page);
    assert.deepEqual(await chips(page).allTextContents(), tokens);
    file = await saved(page, () => page.getByRole('button', { name: 'Save as file' }).click());
    assert.equal(file.name, 'topk-lm-explore.json');
    assert.equal(JSON.parse(file.text).format, 'topk-lm text');
  });

  test('a link on the page takes a text along that is too long for its address', async () => {
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
    await chips(page).nth(5).click();
    await page.locator('.cell.current .neuron').first().click();
    await page.getByRole('link', { name: /^Steer with/ }).click();
    await page.waitForFunction(
      (text) => [...document.querySelectorAll('input, textarea')].some(({ value }) => value.trim() === text),
      LONG.trim(),
    );
    await page.goBack();
    await page.locator('[data-state=live]').waitFor({ timeout: LOAD_TIMEOUT });
  });

  test('the file opens in a fresh profile, by the button and dropped on the page; one that is none is named', async () => {
    const tokens = await chips(page).allTextContents();
    // The model that is there, with a smaller context, must not cut what the file's own takes.
    const fresh = await openSite(browser, site, '#/explore', { ignore: [/404/] });
    fresh.page.setDefaultTimeout(STEP_TIMEOUT);
    assert.equal(await loaded(fresh.page), 'cpu');
    await fresh.page.goto(`${site.url}#/about`);
    const isThere = async () => {
      await tokensRead(fresh.page);
      assert.deepEqual(await chips(fresh.page).allTextContents(), tokens);
      assert.equal(await fresh.page.getByRole('textbox', { name: 'Text' }).inputValue(), LONG);
    };
    try {
      await fresh.page.getByRole('heading', { name: 'About', level: 1 }).waitFor();
      const [chooser] = await Promise.all([
        fresh.page.waitForEvent('filechooser'),
        fresh.page.getByRole('button', { name: 'Open saved text…' }).click(),
      ]);
      await chooser.setFiles({ name: file.name, mimeType: 'application/json', buffer: Buffer.from(file.text) });
      await isThere();
      await fresh.page.goBack();
      await fresh.page.getByRole('heading', { name: 'About', level: 1 }).waitFor();
      await drop(fresh.page, file.name, file.text);
      await isThere();
      await drop(fresh.page, 'notes.json', '{"once": "upon a time"}');
      await fresh.page.getByRole('alert').getByText('The file “notes.json” was not saved by this site').waitFor();
      await isThere();
      await assertUsable(fresh.page);
      await fresh.page.getByRole('button', { name: 'Close' }).click();
      assert.equal(await fresh.page.getByRole('alert').count(), 0);
    } finally {
      await fresh.close();
    }
  });

  test('both texts of Steer, saved as a file, are shown before any model', async () => {
    await page.goto(`${site.url}?backend=cpu#/steer?len=6&temp=0&e=1.2_ablate_0`);
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-divergence]').waitFor();
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
    const expected = [await idsOf(page, 'base'), await idsOf(page, 'steered')];
    await page.getByText('Export: code').click();
    const { name, text } = await saved(page, () => page.getByRole('button', { name: 'Save both texts as JSON' }).click());
    site.hold(/model\.safetensors/);
    const fresh = await openSite(browser, site, '#/browse');
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.getByRole('heading', { name: 'All neurons' }).waitFor();
      await drop(fresh.page, name, text);
      await fresh.page.locator('[data-shared=shown]').waitFor();
      assert.deepEqual([await idsOf(fresh.page, 'base'), await idsOf(fresh.page, 'steered')], expected);
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('a link that was cut or changed opens what can be read of it, and says what could not', async () => {
    await page.goto(`${site.url}?backend=cpu#/steer?len=5&b=!!&seed=x&p=A%20dog`);
    const alert = page.getByRole('alert');
    await alert.getByText('This link could not be read completely.').waitFor();
    assert.match(await alert.innerText(), /base text cannot be read.*seed is “x”/s);
    assert.equal(await page.getByLabel('Prompt').inputValue(), 'A dog');
    await page.goto(`${site.url}?backend=cpu#/explore?model=Some-Model`);
    await alert.getByText('There is no model “Some-Model” here').waitFor();
    await alert.getByRole('button', { name: 'Close' }).click();
    await alert.waitFor({ state: 'detached' });
    assert.equal(hashOf(page).params.model, undefined);
  });
});
