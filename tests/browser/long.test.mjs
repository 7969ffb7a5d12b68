// Links and texts far longer than any model takes: what is left out is said, and the document stays small, since elements are what freezes a page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { assertCount, chips, hashOf, loaded, shippedModel, siteModule, withSite } from './page-kit.mjs';

const { encodeIds } = await siteModule('route.ts');
const { MAX_TEXT, MAX_TOKENS } = await siteModule('fit.ts');
const { MAX_EDITS } = await siteModule('address.ts');

const count = (number) => number.toLocaleString('en');
const ids = (length) => encodeIds(Array.from({ length }, (_, i) => 300 + (i % 500)));

/** Most elements in a document; an idle page has some hundred. */
const MOST_ELEMENTS = 12_000;

describe('long links and texts', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const { max_position_embeddings: most } = model.read('config.json');
  const takes = `this model takes at most ${count(most)} tokens: the rest is left out.`;
  // The same model, as if its context were shorter than the text that the page opens with.
  const short = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-short-'));
  after(() => fs.rmSync(short, { recursive: true }));
  for (const name of ['model.safetensors', 'tokenizer.json']) fs.copyFileSync(path.join(model.folder, name), path.join(short, name));
  fs.writeFileSync(path.join(short, 'config.json'), JSON.stringify({ ...model.read('config.json'), max_position_embeddings: 12 }));
  let site;
  let page;
  withSite({ hash: '#/about', serve: { mounts: { '/short/': short } }, ignore: [/404/] }, (on) => {
    ({ site, page } = on);
  });

  const isSmall = async () => {
    const elements = await page.evaluate(() => document.querySelectorAll('*').length);
    assert.ok(elements < MOST_ELEMENTS, `${elements} elements`);
  };
  /** Opens a hash in a fresh document, as a link does. */
  async function visit(hash) {
    await page.goto('about:blank');
    await page.goto(`${site.url}?backend=cpu${hash}`);
  }
  const tokens = () => chips(page);

  test('before the model is there, a text of 75,000 tokens is shown in parts', async () => {
    site.hold(/model\.safetensors/);
    try {
      await visit(`#/explore?t=${ids(75_000)}`);
      await page
        .getByRole('alert')
        .getByText(`Its text has 75,000 tokens; this site reads the first ${count(MAX_TOKENS)}.`)
        .waitFor();
      await tokens().first().waitFor();
      await page.getByText(`Tokens ${count(MAX_TOKENS - 2047)} to ${count(MAX_TOKENS)} of ${count(MAX_TOKENS)}.`).waitFor();
      await assertCount(tokens(), 2048);
      await page.getByRole('button', { name: 'Earlier' }).click();
      await page.getByText(`Tokens ${count(MAX_TOKENS - 4095)} to ${count(MAX_TOKENS - 2048)} of`).waitFor();
      // By keys from one part into the next.
      await page.getByRole('button', { name: 'Later' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText(`Tokens ${count(MAX_TOKENS - 2047)} to`).waitFor();
      await page.locator('button:focus', { hasText: 'Earlier' }).waitFor(); // there is nothing later
      await tokens().first().focus();
      await page.keyboard.press('ArrowLeft');
      await page.getByText(`Tokens ${count(MAX_TOKENS - 4095)} to ${count(MAX_TOKENS - 2048)} of`).waitFor();
      await page.waitForFunction(() => document.activeElement?.title.startsWith('position 30719'));
      await isSmall();
    } finally {
      site.release();
    }
  });

  test('a long text in a link, before the model is there', async () => {
    site.hold(/model\.safetensors/);
    try {
      await visit(`#/explore?p=${'word+'.repeat(200_000)}`);
      await page
        .getByRole('alert')
        .getByText(`Its text has 1,000,000 characters; this site reads the first ${count(MAX_TEXT)}.`)
        .waitFor();
      await page.getByRole('textbox', { name: 'Text' }).fill('é'.repeat(1_000_000));
      await page.getByText(`The text has 1,000,000 characters, but this site reads at most ${count(MAX_TEXT)} characters`).waitFor();
    } finally {
      site.release();
    }
  });

  test('with the model, it is cut at the context, in Explore and in Steer', async () => {
    await visit(`#/explore?t=${ids(2 * most)}`);
    assert.equal(await loaded(page), 'cpu');
    await page.getByText(`The text has ${count(2 * most)} tokens, but ${takes}`).waitFor();
    await page.locator('[data-state=live]').waitFor();
    await assertCount(tokens(), most);
    await visit(`#/steer?b=${ids(75_000)}&s=${ids(75_000)}&pl=5&len=2&temp=0&e=1.2_ablate_0`);
    await page.getByRole('alert').getByText('Its steered text has 75,000 tokens').waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    assert.equal(await loaded(page), 'cpu');
    await page.getByText(takes).waitFor();
    await page.locator('[data-shared=departs]').waitFor();
    await isSmall();
  });

  test('so is the text that a model without stored ones opens with', async () => {
    await visit(`#/explore?model=${encodeURIComponent(`${site.origin}short/`)}`);
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
    await page.getByText(/^The text has \d+ tokens, but this model takes at most 12 tokens: the rest is left out\.$/).waitFor();
    await page.locator('[data-state=live]').waitFor();
    await assertCount(tokens(), 12);
  });

  test('a shared text that filled the context is written again the same: its last token has no place there', async () => {
    await visit(`#/steer?model=${encodeURIComponent(`${site.origin}short/`)}&p=Tom&len=300`);
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForFunction(() => location.hash.includes('b='));
    assert.equal((await page.locator('[data-side=base]').getAttribute('data-ids')).split(',').length, 13);
    const { hash } = new URL(page.url());
    await visit(hash);
    await page.getByRole('button', { name: 'Load the model' }).click();
    await page.locator('[data-shared=same]').waitFor();
    assert.equal(await page.getByText('the rest is left out').count(), 0);
  });

  test('a megabyte typed in: its beginning is read, and the page says so', async () => {
    const text = 'The dog ran to the big tree. '.repeat(36_000);
    const said = `The text has ${count(text.length)} characters, but ${takes}`;
    await visit('#/explore');
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('textbox', { name: 'Text' }).fill(text);
    await page.getByText(said).waitFor();
    await page.locator('[data-state=live]').waitFor();
    await assertCount(tokens(), most);
    await page.getByRole('textbox', { name: 'Text' }).fill('The dog ran');
    await page.getByText(said).waitFor({ state: 'detached' });
    await visit('#/steer?len=2');
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('textbox', { name: 'Prompt' }).fill(text);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText(said).waitFor();
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
    await isSmall();
    // Its code asks for what the model was given.
    await page.getByText('Export: code for this run').click();
    const code = await page.getByRole('region', { name: 'command line' }).textContent();
    assert.equal(code.match(/ --ids ([\d,]+)/)?.[1].split(',').length, most, code.slice(0, 300));
    await visit('#/trace');
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('textbox', { name: 'Prompt' }).fill(text);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByText(said).waitFor();
  });

  test('40,000 parameters, 100,000 edits, and an address that is too long', async () => {
    const many = Array.from({ length: 40_000 }, (_, i) => `a${i}=1`).join('&');
    await visit(`#/explore?${many}`);
    await page.getByRole('alert').getByText('It has 40,000 parameters; this site reads the first 100.').waitFor();
    assert.ok(Object.keys(hashOf(page).params).length > 0);
    await visit(`#/steer?e=${Array.from({ length: 100_000 }, () => '1.2_clamp_3').join('*')}`);
    await page.getByRole('alert').getByText(`It has 100,000 edits; this site reads the first ${MAX_EDITS}.`).waitFor();
    await page.getByRole('list', { name: 'Edits' }).waitFor();
    await assertCount(page.getByRole('list', { name: 'Edits' }).getByRole('listitem'), MAX_EDITS);
    await isSmall();
    await page.evaluate(() => history.replaceState({ address: `#/explore?p=${'a'.repeat(3e6)}` }, '', '#/explore'));
    await page.reload();
    await page.getByRole('alert').getByText('This link is too long: it has 3,000,012 characters').waitFor();
  });
});
