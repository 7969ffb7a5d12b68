// What a screen reader is told of work that ends somewhere on the page, and of where the reader is.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLIPBOARD, saved, shippedModel, shown, withSite } from './page-kit.mjs';

const model = shippedModel();
const skip = !model.features && 'the shipped model has no statistics';

describe('a screen reader is told', { timeout: 1_800_000, skip }, () => {
  let page;
  withSite({ hash: `#/m/${model.name}/1/296`, load: true, context: CLIPBOARD }, (on) => {
    ({ page } = on);
  });

  /** Waits until a live region says so. @param what - its whole text */
  const told = (what) =>
    page
      .getByRole('status')
      .filter({ hasText: typeof what === 'string' ? new RegExp(`^${what}$`) : what })
      .waitFor({ state: 'attached' });
  const press = async (control) => {
    await control.focus();
    await page.keyboard.press('Enter');
  };
  const button = (name) => page.getByRole('button', { name });
  const go = async (name, hash = `#/${name}`) => {
    await page.evaluate((to) => (location.hash = to), hash);
    await shown(page, name);
  };

  test('which neuron the step to the next one led to, also on the page that was opened first', async () => {
    await shown(page, 'neuron');
    await press(button('Next neuron'));
    await told('Layer 1 neuron 297');
  });

  test('that a text is read, its neurons are ranked, its code is copied', async () => {
    await go('explore');
    await page.getByRole('textbox', { name: 'Text' }).fill('The bird flew home');
    await told(/^\d tokens, computed here on/);
    await press(page.locator('summary', { hasText: 'Why this token' }));
    await told(/^\d+ neurons ranked by the effect on “.+”\.$/);
    await press(button('Copy as JavaScript'));
    await told('The code is copied.');
  });

  test('that the texts of ten seeds and of eight strengths are written', async () => {
    await go('steer', '#/steer?len=6&e=1.296_clamp_18');
    await press(button('Write with 10 seeds'));
    await told('The texts of 10 seeds are written.');
    await press(button('Sweep 8 strengths'));
    await told('The texts at 8 strengths are written.');
  });

  test('that a state is taken apart, and a prompt is continued', async () => {
    await go('patch');
    await page.locator('[data-place][tabindex="0"]').focus();
    await page.keyboard.press('ArrowDown');
    await told(/^Layer \d, “boy”, is taken apart: \d+ neurons differ\.$/);
    await go('trace');
    await page.getByRole('textbox', { name: 'Prompt' }).fill('The cat');
    await page.keyboard.press('Enter');
    await told('The text is written.');
    await press(button(/^Run (step|every)/));
    await told('Every checkpoint has written its text.');
  });

  test('that an export is made; and nothing of it on the next page', async () => {
    await go('browse', '#/browse?q=river');
    await page.getByText(/^\d{1,2} of [\d,]+ neurons/).waitFor();
    await saved(page, () => press(button('Export as JSON, with examples')));
    await told('The JSON file is made.');
    await go('about');
    await page.locator('[role=status]', { hasText: 'The JSON file is made.' }).waitFor({ state: 'detached' });
  });

  test('what buttons are about: the layers of Browse, and what plays, without its sign', async () => {
    await go('browse', '#/browse');
    await page.getByRole('group', { name: 'Show only layer' }).getByRole('button', { name: '1', exact: true }).waitFor();
    await go('trace');
    await page.getByRole('button', { name: 'Play the training', exact: true }).waitFor();
    await go('explore');
    await page.getByRole('button', { name: 'Play the text', exact: true }).waitFor();
  });

  test('the sentence of a step of the tour, with its title', async () => {
    await go('explore', '#/explore?tour=1');
    const title = page.locator('#tour-title:focus');
    await title.waitFor();
    const says = await title.evaluate((heading) => document.getElementById(heading.getAttribute('aria-describedby') ?? '')?.textContent);
    assert.ok(says?.length > 20, `${says}`);
  });
});
