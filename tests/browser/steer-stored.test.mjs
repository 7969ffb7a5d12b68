// Steer before the weights are there: the texts of its first prompt that the model comes with, marked as stored, and only of the settings on the page;
// the live run writes the same in their place.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { hashOf, LOAD_TIMEOUT, shippedModel, siteModule, WEIGHTS, withSite } from './page-kit.mjs';

const { DEFAULTS } = await siteModule('stored-steering.ts');

describe('steer before the weights', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const { prompt_ids: prompt, texts } = model.read('steered.json');
  let recipes;
  let keyOf;
  let site;
  let page;
  withSite({ hash: '#/steer', hold: WEIGHTS }, (on) => {
    ({ site, page } = on);
  });
  before(async () => {
    const { editOf } = await siteModule('recipes.ts');
    const { formatEdits } = await siteModule('edits.ts');
    recipes = model.read('recipes.json');
    keyOf = ({ edits }) => formatEdits(edits.map(editOf));
  });
  const side = (name) => page.locator(`[data-side=${name}]`);
  const shows = (name, ids) =>
    page.locator(`[data-side=${name}][data-ids="${[...prompt, ...ids].join(',')}"]`).waitFor({ timeout: LOAD_TIMEOUT });
  const storedOf = (edits) => texts.find((text) => text.edits === edits).ids;
  const take = ({ concept }) =>
    page
      .getByRole('button', { name: new RegExp(`^${concept}`, 'i') })
      .first()
      .click();

  test('a text is stored for every recipe of the model as it is', () => {
    assert.deepEqual(
      texts.map(({ edits }) => edits),
      ['', ...recipes.map(keyOf)],
    );
  });

  test('the text without edits is there at once, then that of a recipe; both are marked', async () => {
    await shows('base', storedOf(''));
    assert.match(await side('base').innerText(), /\d+ new tokens, stored with the model/);
    assert.equal(await side('steered').getAttribute('data-ids'), '');
    await take(recipes[0]);
    await shows('steered', storedOf(keyOf(recipes[0])));
    assert.match(await side('steered').innerText(), /\d+ new tokens, stored with the model/);
    await page.locator('[data-divergence]').waitFor();
    await side('steered').locator('.chip[title$=", a word of the topic"]').first().waitFor();
    assert.equal(await side('steered').locator('.chip[title*="value"]').count(), 0);
    await take(recipes[1]);
    await shows('steered', storedOf(keyOf(recipes[1])));
    // Nobody wrote them here: a link does not carry them.
    await page.waitForFunction(() => location.hash.includes('e='));
    assert.equal(hashOf(page).params.b, undefined);
  });

  test('of other settings nothing stored is shown', async () => {
    const seed = page.getByRole('spinbutton', { name: 'Seed' });
    await seed.fill('8');
    await seed.press('Tab');
    await page.locator('[data-side=base][data-ids=""]').waitFor();
    await page.locator('[data-side=steered][data-ids=""]').waitFor();
    await seed.fill(String(DEFAULTS.seed));
    await seed.press('Tab');
    await shows('base', storedOf(''));
    await shows('steered', storedOf(keyOf(recipes[1])));
  });

  test('with the model they are written here, and are the same', async () => {
    site.release(); // the recipe that was chosen has waited for the model
    await page.locator('[data-side=steered]:not([data-stored])').waitFor({ timeout: LOAD_TIMEOUT });
    await page.waitForFunction(() => location.hash.includes('&s=') && location.hash.includes('b='), null, { timeout: LOAD_TIMEOUT });
    await shows('base', storedOf(''));
    await shows('steered', storedOf(keyOf(recipes[1])));
    assert.equal(await page.locator('[data-stored]').count(), 0);
    assert.doesNotMatch(await side('base').innerText(), /stored with the model/);
  });
});
