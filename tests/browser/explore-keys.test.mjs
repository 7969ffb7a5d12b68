// Explore by keys: tokens are chosen, and the keyboard keeps a place where what it was on goes or moves.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chips, drawn, eventually, hashOf, shippedModel, waitState, withSite } from './page-kit.mjs';

describe('explore by keys', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let page;
  withSite({ load: true }, (on) => {
    ({ page } = on);
  });

  test('tokens are chosen by keys', async () => {
    const first = chips(page).first();
    await first.click();
    await page.keyboard.press('ArrowRight');
    const last = (await chips(page).count()) - 1;
    const isChosen = (at) =>
      page.waitForFunction((wanted) => {
        const chip = document.querySelectorAll('[role=listbox] [role=option]')[wanted];
        return chip.ariaSelected === 'true' && chip === document.activeElement;
      }, at);
    await isChosen(1);
    await page.keyboard.press('End');
    await isChosen(last);
    assert.equal(hashOf(page).params.at, String(last));
  });

  test('a shorter text takes the token, the row or the name that the keyboard was on, and leaves it another', async () => {
    const table = page.getByRole('table', { name: /one row per token/ });
    const network = page.getByRole('region', { name: /^The network at/ });
    for (const [name, part, stop] of [
      ['a token', page.getByRole('listbox', { name: 'The text' }), (on) => on.getByRole('option').nth(7)],
      ['a row', table, (on) => on.locator('[data-row="7"] .token button')],
      ['a neuron of a row', table, (on) => on.locator('[data-row="7"] .neuron').first()],
      ['a name', network, (on) => on.locator('.names button').first()],
    ]) {
      await page.evaluate(() => (location.hash = '#/explore?p=The+cow+said+hello+to+the+dog&at=7'));
      await chips(page).nth(7).waitFor();
      await waitState(page, 'live');
      await stop(part).waitFor();
      await page.keyboard.press('Shift'); // as of one who uses no pointer
      const pressed = await stop(part).elementHandle();
      await pressed.focus();
      await page.evaluate(() => (location.hash = '#/explore?p=The+cat'));
      for (const all of [chips(page), table.locator('[data-row]')]) await all.nth(3).waitFor({ state: 'detached' });
      await eventually(
        () => pressed.evaluate((element) => element.isConnected),
        (isThere) => !isThere,
      );
      assert.ok(await part.evaluate((element) => element.contains(document.activeElement)), name);
    }
  });

  test('a row of the table that the keyboard goes to comes into sight and keeps it', async () => {
    await page.getByRole('button', { name: model.read('examples/index.json').texts[0].title }).click();
    await waitState(page, 'live');
    const table = page.locator('.scroller').filter({ has: page.getByRole('table', { name: /one row per token/ }) });
    const middle = async () => {
      await table.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
      await drawn(page);
    };
    await middle();
    const rows = await table.locator('[data-row]').evaluateAll((all) => all.map(({ dataset }) => dataset.row));
    assert.ok(rows.length > 10);
    for (const row of rows) {
      await middle();
      await table.locator(`[data-row="${row}"] .neuron`).first().focus();
      await drawn(page);
      assert.equal(await page.evaluate(() => document.activeElement.closest('[data-row]')?.dataset.row), row);
    }
  });
});
