// Models from elsewhere, of which no list says what they are: whether they are TopK or dense is read from their own configuration.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { CLIPBOARD, hashOf, loaded, shippedModel, STEP_TIMEOUT, siteModule, withSite } from './page-kit.mjs';

const GOLDENS = inRoot('tests/goldens/models');
const { encodeIds } = await siteModule('route.ts');
const IDS = [0, 5, 17, 9, 40];

describe('models from elsewhere', { timeout: 1_800_000 }, () => {
  let site;
  let page;
  // They ship no manifest.json, tokenizer.json or features/.
  const options = { hash: '#/about', serve: { mounts: { '/elsewhere/': GOLDENS } }, ignore: [/404/], context: CLIPBOARD };
  withSite(options, (on) => {
    ({ site, page } = on);
  });

  const addressOf = (name) => encodeURIComponent(`${site.origin}elsewhere/${name}/`);
  const open = async (hash) => {
    await page.evaluate((to) => (location.hash = to), hash);
  };

  /** The model's activations of IDS, on Explore. */
  async function explore(name) {
    await open(`#/explore?model=${addressOf(name)}&t=${encodeIds(IDS)}&open=next.why`);
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-state=live]').waitFor();
  }

  async function copied(button) {
    // The button that was pressed says so, not the one that was pressed before.
    const pressed = await page.getByRole('button', { name: button }).elementHandle();
    await pressed.click();
    await page.waitForFunction((one) => one.textContent === 'Copied', pressed);
    return page.evaluate(() => navigator.clipboard.readText());
  }

  async function tensorNames() {
    const [file] = await Promise.all([
      page.waitForEvent('download', { timeout: STEP_TIMEOUT }),
      page.getByRole('button', { name: 'safetensors' }).click(),
    ]);
    const bytes = fs.readFileSync(await file.path());
    const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
    return Object.keys(header).filter((name) => name !== '__metadata__');
  }

  test('a dense model is shown and exported as one', async () => {
    await explore('llama-dense-bias');
    await page.getByRole('heading', { name: 'Strongest coordinates' }).waitFor();
    const hooks = [0, 1, 2].map((layer) => `blocks.${layer}.hook_resid_post`);
    for (const button of ['Copy as JavaScript', 'Copy as command']) {
      const code = await copied(button);
      for (const hook of hooks) assert.ok(code.includes(hook), code);
      assert.doesNotMatch(code, /hook_topk_out/);
    }
    assert.deepEqual(await tensorNames(), hooks);
    // There are no active neurons to ablate: nothing offers it, and an old link that asks for it reports no error.
    await page.getByRole('table', { name: 'Most likely next tokens' }).waitFor();
    assert.equal(await page.getByText('Why this token').count(), 0);
    assert.equal(await page.getByRole('button', { name: /^Why/ }).count(), 0);
    assert.equal(await page.getByRole('alert').count(), 0);
    assert.doesNotMatch(await page.locator('main').innerText(), /neuron/i);
  });

  test('its other pages call its coordinates by their name', async () => {
    await open(`#/m/${addressOf('llama-dense-bias')}/1/3`);
    await page.getByRole('heading', { name: 'Layer 1 coordinate 3', level: 1 }).waitFor();
    assert.match(await page.title(), /^Layer 1 coordinate 3/);
    await open(`#/steer?model=${addressOf('llama-dense-bias')}`);
    await page.getByText('This model is dense').waitFor();
    await open(`#/byo?model=${addressOf('llama-dense-bias')}`);
    await page.getByText('The model is dense').waitFor();
  });

  test('a TopK model is shown and exported as one', async () => {
    await explore('llama-gqa');
    await page.getByRole('heading', { name: 'Strongest neurons' }).waitFor();
    assert.match(await copied('Copy as JavaScript'), /"blocks\.0\.hook_topk_out"/);
    assert.ok((await tensorNames()).every((name) => name.endsWith('.hook_topk_out')));
    await page.getByText('Why this token').waitFor();
  });

  test('a neuron that the model does not have is named as such', async () => {
    for (const [layer, index, sentence] of [
      [99, 3, 'This model has no layer 99'],
      [0, 9999, 'This model has no index 9999'],
    ]) {
      await open(`#/m/${addressOf('llama-gqa')}/${layer}/${index}`);
      await page.getByText(sentence).waitFor();
      assert.equal(await page.getByRole('link', { name: 'Steer with this' }).count(), 0);
    }
  });

  test('a click on its map of patches leaves the map', async () => {
    await open(`#/patch?model=${addressOf('llama-gqa')}&p=1+2+3&q=1+4+3`);
    await page.locator('[data-patched=whole]').waitFor();
    const place = page.locator('[data-place]').last();
    await place.click();
    await page.locator(`[data-parts$="${await place.getAttribute('data-place')}"]`).waitFor();
    assert.equal(hashOf(page).params.at, await place.getAttribute('data-place'));
  });

  test('the next model reads the words in the box, not the ids of this one; the step back has the ids', async () => {
    await open(`#/explore?model=${addressOf('llama-gqa')}&t=${encodeIds(IDS)}&n=1.3`);
    await page.locator('[data-state=live]').waitFor();
    const t = encodeIds([3, 5, 9]);
    await page.getByRole('textbox', { name: 'Text' }).fill('3 5 9');
    await page.waitForURL((url) => url.hash.includes(`&t=${t}`));
    await page.getByRole('combobox', { name: 'Model' }).selectOption(shippedModel().name);
    await page.waitForURL(/#\/explore\?p=3\+5\+9$/);
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-state=live]').waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Text' }).inputValue(), '3 5 9');
    const tokens = await page.getByRole('listbox', { name: 'The text' }).getByRole('option').allInnerTexts();
    assert.ok(tokens.join('').replaceAll('␣', ' ').endsWith('3 5 9'), `${tokens}`);
    await page.goBack();
    await page.waitForURL((url) => url.hash.includes(`t=${t}`));
    await page.getByRole('button', { name: 'Load the model' }).waitFor();
    assert.deepEqual([hashOf(page).params.t, hashOf(page).params.p], [t, undefined]);
  });
});
