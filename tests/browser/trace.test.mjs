// Trace: what the statistics say of training, and the same prompt through checkpoints with live weights.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import {
  STEP_TIMEOUT,
  assertCount,
  assertUsable,
  eventually,
  hashOf,
  loaded,
  offeredModels,
  openSite,
  shippedModel,
  slowDown,
  withSite,
} from './page-kit.mjs';

describe('trace page', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const index = model.features ? model.read('features/index.json') : null;
  const hasSteps = index !== null && index.steps.length > 0;
  const steps = model.steps.map(({ step }) => step);
  /** Runs all steps; where there is one, it is named. */
  const runAll = steps.length === 1 ? `Run step ${steps[0].toLocaleString('en')} too` : 'Run every checkpoint';
  let site;
  let browser;
  let page;
  withSite({ hash: '#/trace' }, (on) => {
    ({ site, browser, page } = on);
  });

  test('the numbers of the charts are those of the files', async () => {
    const loss = page.locator('figure', { hasText: 'Training loss' });
    await loss.waitFor();
    const rows = loss.locator('tbody tr');
    if (!hasSteps) {
      await page.getByText('Only the final weights were analyzed').waitFor();
      assert.ok((await rows.count()) > 1);
      return;
    }
    await page.getByText('Training loss, and neurons that have emerged').waitFor();
    const said = () => loss.getByRole('img').getAttribute('aria-label');
    assert.match(
      await said(),
      /^Training loss in nats per token over [\d,]+ steps, with the share of neurons that have emerged by each of \d+ analyzed steps/,
    );
    const counted = await rows.locator('td:nth-child(3)').allTextContents();
    // The last step, which would be compared with itself, is left out.
    const before = index.steps.slice(0, -1);
    const by = (step) => index.columns.emergence.filter((emergence) => emergence !== null && emergence <= step).length;
    const known = index.columns.n.filter((n) => n >= index.entropy.rare_below).length;
    const percent = (part) => `${part >= 0.1 || part === 0 ? (100 * part).toFixed(0) : (100 * part).toPrecision(2)} %`;
    assert.deepEqual(
      counted,
      before.map((step) => percent(by(step) / known)),
    );
    // The dense twin is beside it, at the steps at which it was analyzed, and is behind at all but the beginning.
    const twin = offeredModels().find(
      ({ name }) => name === model.dense_twin && existsSync(path.join(paths.site, 'models', name, 'features')),
    );
    if (twin) {
      const its = JSON.parse(readFileSync(path.join(paths.site, 'models', twin.name, 'features/index.json'), 'utf8'));
      const cell = (at) => rows.nth(at).locator('td:nth-child(4)');
      for (const step of its.steps.slice(0, -1).filter((each) => before.includes(each))) {
        const part = its.columns.emergence.filter((emergence) => emergence !== null && emergence <= step).length;
        const wanted = percent(part / its.columns.n.filter((n) => n >= its.entropy.rare_below).length);
        await cell(before.indexOf(step)).filter({ hasText: wanted }).waitFor({ state: 'attached' });
      }
    }
    const columns = model.read('features/steps/columns.json');
    const map = page.locator('figure', { hasText: 'similarity to the final' });
    await map.waitFor();
    await assertCount(map.locator('tbody tr'), columns.steps.length);
    const ribbon = page.locator('figure', { hasText: 'How early each' });
    await assertCount(ribbon.locator('tbody tr'), index.layers.length);
  });

  test('a cell chosen by keyboard is described and leads to its neuron', { skip: !hasSteps && 'no checkpoint was analyzed' }, async () => {
    const slider = page.getByRole('slider', { name: 'Neuron', exact: true }).first();
    await slider.press('ArrowRight');
    await page.getByText(/the distance to its final top tokens is/).waitFor();
    const href = await page.getByRole('link', { name: 'Open the neuron' }).getAttribute('href');
    assert.match(href, new RegExp(`#/m/${model.name}/${index.layers[0]}/\\d+`));
    // A link to it shows the same cell.
    await page.waitForURL(/[?&]map=\d+\.\d+/);
    await page.reload();
    await page.getByText(/the distance to its final top tokens is/).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Open the neuron' }).getAttribute('href'), href);
    await page.getByRole('combobox', { name: 'Layer' }).selectOption(String(index.layers.at(-1)));
    await page.getByText(`Layer ${index.layers.at(-1)}: similarity`).waitFor();
    await page.waitForURL(new RegExp(`[?&]layer=${index.layers.at(-1)}(&|$)`));
  });

  const film = model.continuations ? model.read('continuations.json') : null;
  const typed = () => page.locator('[data-typed]');
  const signs = (text) => text.replaceAll('\n', '↵');

  test('the film shows stored texts at once, moves by its slider, and keeps its step in the address', {
    skip: !film && 'none stored',
  }, async () => {
    const { text } = film.texts.at(-1);
    assert.equal(await typed().textContent(), signs(text));
    await page.getByRole('slider', { name: 'Training step of the film' }).press('Home');
    const first = film.texts[0];
    await page.locator(`[data-film="${first.step}"]`).waitFor();
    assert.equal(await typed().textContent(), signs(first.text));
    assert.equal(hashOf(page).params.film, String(first.step));
    assert.equal(hashOf(page).params.ckpt, undefined, 'the film loads no weights');
    // What is close to its end without training is not said to have emerged by it.
    const facts = page.locator('[data-film] .facts');
    if (first.step === 0 && index.steps[0] === 0) {
      assert.match(await facts.innerText(), /untrained: \d+ neurons? already match(es)? (its|their) final tokens/);
      await page.getByRole('slider', { name: 'Training step of the film' }).press('ArrowRight');
      await facts.getByText(/neurons have emerged, (all|\d+) without training$/).waitFor();
      await page.getByRole('slider', { name: 'Training step of the film' }).press('Home');
      await page.locator('[data-film="0"]').waitFor();
    }
    await page.reload();
    await page.locator(`[data-film="${first.step}"]`).waitFor();
  });

  test('the film plays: each text is typed out, then the next', { skip: !film && 'none stored' }, async () => {
    const { text } = film.texts[0];
    const play = page.getByRole('button', { name: 'Play the training' });
    await play.waitFor();
    // In the page: on a busy machine a click and a reading from here may lie further apart than the text takes.
    const early = await typed().evaluate(async (out) => {
      [...document.querySelectorAll('button')].find(({ textContent }) => textContent.includes('Play the training')).click();
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      return out.textContent;
    });
    assert.ok(early.length < text.length && signs(text).startsWith(early), early);
    await page.locator(`[data-film="${film.texts[1].step}"]`).waitFor();
    // Said while it plays, and not after.
    const said = page.locator('[data-film] [role=status]');
    await said.filter({ hasText: /^step .*, training loss \d\.\d\d nats per token/ }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Play the training' }).waitFor();
    assert.equal(await said.textContent(), '');
  });

  test('a checkpoint writes its row with its own weights, while the others stay', async () => {
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-step=final][data-written=true]').waitFor();
    if (film) assert.equal(await page.locator('[data-step=final] td').textContent(), film.prompt + film.texts.at(-1).text);
    const [early] = steps;
    const isStored = (step) => page.locator(`[data-step="${step}"] td`, { hasText: '(stored with the site)' });
    if (film) await isStored(early).waitFor();
    const name = (step) => page.locator(`[data-step="${step}"]`);
    await name(early).getByRole('button').click();
    await page.locator(`[data-step="${early}"][data-written=true]`).waitFor();
    assert.equal(await isStored(early).count(), 0);
    assert.equal(hashOf(page).params.ckpt, String(early));
    assert.notEqual(await name(early).locator('td').innerText(), await name('final').locator('td').innerText());
    assert.equal(await name(early).getByRole('button').getAttribute('aria-pressed'), 'true');
    await page.goto(`${page.url().split('#')[0]}#/trace`);
    await name('final').locator('[aria-pressed=true]').waitFor();
  });

  const begin = async (prompt, step = 'final') => {
    await page.getByRole('textbox', { name: 'Prompt' }).fill(prompt);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator(`[data-step="${step}"][data-written=true]`, { hasText: prompt }).waitFor();
    await page.getByRole('button', { name: runAll }).click();
    await page.getByText(/Checkpoint \d+ of \d+/).waitFor();
  };
  const ended = (on) => on.getByText(/Checkpoint \d+ of \d+/).waitFor({ state: 'detached' });
  const inUse = (step) => page.locator(`[data-step="${step}"] [aria-pressed=true]`).waitFor();

  test('all checkpoints in a round, which can be cancelled: no row stays cut off', async () => {
    await slowDown(page);
    await begin('The cat');
    // All of it in the page: its text may be whole before a press from here arrives.
    await page.waitForFunction((step) => {
      const row = document.querySelector(`[data-step="${step}"]`);
      if (!row.querySelector('[aria-pressed=true]')) return false;
      if (!row.textContent.includes('being written') || row.textContent.includes('not run yet') || row.dataset.written === 'true')
        return false;
      [...document.querySelectorAll('button')].findLast((button) => button.textContent === 'Cancel').click();
      return true;
    }, steps.at(-1));
    await ended(page);
    await inUse('final');
    assert.match(await page.locator(`[data-step="${steps.at(-1)}"] td`).innerText(), /^not run yet/);
  });

  test('another step that is chosen in a round ends it and stays; a page that is opened has the step that was chosen', async () => {
    const [early] = steps;
    await page.locator(`[data-step="${early}"]`).getByRole('button').click();
    await inUse(early);
    await begin('The dog', early);
    await inUse('final');
    assert.equal(hashOf(page).params.ckpt, String(early));
    await page.locator('[data-step=final]').getByRole('button').click();
    await ended(page);
    await page.locator('[data-step=final][data-written=true]', { hasText: 'The dog' }).waitFor();
    await inUse('final');
    assert.equal(hashOf(page).params.ckpt, undefined);
    await begin('The bird');
    await inUse(early);
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Explore' }).click();
    await page.locator('main[data-page=explore]').waitFor();
    await page.getByText('The model is ready.').waitFor({ state: 'attached' });
    assert.equal(hashOf(page).params.ckpt, undefined);
    await page.evaluate(() => (location.hash = '#/trace'));
    await inUse('final');
  });

  test('a round that is cancelled in its first download asks for nothing more', async () => {
    const { page: own, close } = await openSite(browser, site, '#/trace');
    try {
      own.setDefaultTimeout(STEP_TIMEOUT);
      assert.equal(await loaded(own), 'cpu');
      await own.locator('[data-step=final][data-written=true]').waitFor();
      const asked = () => site.requests.filter((url) => url.includes(`step${steps[0]}/model.safetensors`)).length;
      const before = asked();
      site.hold(/model\.safetensors/);
      await own.getByRole('button', { name: runAll }).click();
      await own.getByText('Loading a checkpoint.').waitFor({ state: 'attached' });
      const first = await eventually(asked, (count) => count > before);
      assert.ok(first > before);
      await own.getByRole('button', { name: 'Cancel' }).last().click();
      await ended(own);
      await own.getByRole('button', { name: 'Cancel' }).first().waitFor({ state: 'detached' });
      await own.locator('[data-step=final] [aria-pressed=true]').waitFor();
      assert.equal(asked(), first);
    } finally {
      site.release();
      await close();
    }
  });

  test('accessible in both themes, no sideways scrolling on a phone', () => assertUsable(page));
});
