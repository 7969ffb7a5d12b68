// Steering as a person does it: find a neuron, set it, compare, share; a shared text is shown before the model and run again after it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  LOAD_TIMEOUT,
  STEP_TIMEOUT,
  addressHasSteered,
  assertCount,
  assertUsable,
  encodeIds,
  eventually,
  hashOf,
  holdText,
  openSite,
  pageTime,
  saved,
  shippedModel,
  siteModule,
  slowDown,
  withSite,
} from './page-kit.mjs';

const { DEFAULTS } = await siteModule('stored-steering.ts');

const NEW_TOKENS = 8;

const side = (page, name) => page.locator(`[data-side=${name}]`);
const idsOf = async (page, name) => (await side(page, name).getAttribute('data-ids')).split(',').map(Number);
/** Waits until both texts are written and compared. */
const done = async (page) => {
  await page.locator('[data-divergence]').waitFor();
  await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
};

describe('steer page', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const index = model.features ? model.read('features/index.json') : null;
  const vocabulary = Object.entries(model.read('tokenizer.json').model.vocab);
  const words = new Map(vocabulary.map(([text, id]) => [id, text]));
  /** What a search for a word must find: the most specific neuron that writes a word first; where that was not measured, the one of least entropy. */
  const wanted = index && specialised(index, words);
  let site;
  let browser;
  let page;
  withSite({ hash: `#/steer?len=${NEW_TOKENS}&temp=0`, load: true }, (on) => {
    ({ site, browser, page } = on);
  });

  test('a word finds its neuron; adding it writes both texts and marks where they part', async () => {
    assert.ok(wanted, 'the shipped model has statistics');
    await page.getByRole('searchbox').fill(wanted.word);
    const found = page.getByRole('list', { name: 'Neurons found' }).getByRole('button');
    await found.first().waitFor();
    const names = await found.locator('.id').allInnerTexts();
    assert.ok(names.includes(`${wanted.layer}.${wanted.index}`), `${names} should hold ${wanted.layer}.${wanted.index}`);
    await found.nth(names.indexOf(`${wanted.layer}.${wanted.index}`)).click();
    await page.getByRole('button', { name: 'Run' }).click();
    await done(page);
    const [base, steered] = [await idsOf(page, 'base'), await idsOf(page, 'steered')];
    assert.ok(base.length > NEW_TOKENS / 2 && steered.length > 0);
    const first = base.findIndex((id, at) => steered[at] !== id);
    const said = await page.locator('[data-divergence]').innerText();
    const promptLength = Number(hashOf(page).params.pl ?? (await waitForParam(page, 'pl')));
    if (first < 0) assert.match(said, /No difference/);
    else if (first === promptLength) assert.match(said, /They differ from the first new token\./);
    else assert.match(said, new RegExp(`after ${first - promptLength} identical`));
    await page.getByText(/^\d+\.\d\d → \d+\.\d\d nats per token/).waitFor();
  });

  test('before TopK the neuron evicts others; after TopK, none', async () => {
    assert.ok(Number(await page.locator('[data-evicted]').getAttribute('data-evicted')) > 0);
    await page.getByLabel('Site').selectOption('topk_out');
    await page.getByText('Edits after TopK evict no neuron').waitFor();
    await page.getByLabel('Site').selectOption('topk_in');
    await page.locator('[data-evicted]:not([data-evicted="0"])').waitFor();
    await done(page);
    // Each new token is decided at one position.
    const length = Number(hashOf(page).params.pl ?? (await waitForParam(page, 'pl')));
    const written = (await idsOf(page, 'steered')).length - length;
    const counts = await page.locator('[data-evicted] li .quiet').allInnerTexts();
    for (const count of counts) assert.match(count, new RegExp(`^\\d+ of ${written}$`));
  });

  test('the slider works by keyboard, in multiples of the neuron’s strength', async () => {
    const slider = page.locator('input[type=range][aria-valuetext*=" × "]').first();
    assert.match(await slider.getAttribute('aria-valuetext'), /^1\.00 ×/);
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await page.locator('input[type=range][aria-valuetext^="1.10 ×"]').waitFor();
    const value = Number(await page.getByRole('spinbutton', { name: 'Value' }).inputValue());
    const { unit } = wanted;
    assert.ok(Math.abs(value - 1.1 * unit) <= 0.002 * Math.abs(unit), `${value} is not 1.1 × ${unit}`);
    await done(page);
  });

  test('a shared link shows the same texts before the model is there, runs them again, and says where a text departs', async () => {
    const expected = [await idsOf(page, 'base'), await idsOf(page, 'steered')];
    await addressHasSteered(page, expected[1]);
    const { hash } = new URL(page.url());
    site.hold(/model\.safetensors/);
    const fresh = await openSite(browser, site, hash, { ignore: [/503/] });
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.locator('[data-shared=shown]').waitFor();
      assert.deepEqual([await idsOf(fresh.page, 'base'), await idsOf(fresh.page, 'steered')], expected);
      site.release();
      await fresh.page.locator('[data-shared=same]').waitFor({ timeout: LOAD_TIMEOUT });
      assert.deepEqual([await idsOf(fresh.page, 'base'), await idsOf(fresh.page, 'steered')], expected);
      // A link whose text another device wrote otherwise: where it departs is said, and why.
      const { params } = hashOf(page);
      const at = Number(params.pl) + 2;
      const other = expected[0].map((id, place) => (place === at ? (id + 1) % words.size : id));
      await fresh.page.evaluate(
        (query) => (location.hash = `#/steer?${query}`),
        String(new URLSearchParams({ ...params, b: encodeIds(other) })),
      );
      await fresh.page.locator('[data-shared=departs]').waitFor();
      assert.match(await fresh.page.locator('[data-shared]').innerText(), /base text differs from new token 3 on:.*round/s);
      // Its numbers are those of the text that is shown; the button goes with its note, and the keyboard to the page.
      const numbers = (on) => on.getByText(/^\d+\.\d\d → \d+\.\d\d nats per token/).innerText();
      await fresh.page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
      const own = await numbers(page);
      assert.notEqual(await numbers(fresh.page), own);
      await fresh.page.getByRole('button', { name: 'Show what this device writes' }).focus();
      await fresh.page.keyboard.press('Enter');
      await fresh.page.locator('main:focus').waitFor();
      assert.deepEqual(await idsOf(fresh.page, 'base'), expected[0]);
      await fresh.page.getByText(own, { exact: true }).waitFor();
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('a shared text whose check is stopped is not promised any more', async () => {
    const { hash } = new URL(page.url());
    site.hold(/model\.safetensors/);
    const fresh = await openSite(browser, site, hash, { ignore: [/503/] });
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.getByText('It will be reproduced from its seed once the model is loaded.').waitFor();
      await holdText(fresh.page, 0);
      site.release();
      await fresh.page.locator('[data-doing=checking]').waitFor({ state: 'attached', timeout: LOAD_TIMEOUT });
      await fresh.page.getByRole('button', { name: 'Stop' }).click();
      await fresh.page.getByText('It was not reproduced on this device. Press Run to write the texts here.').waitFor();
      await fresh.page.evaluate(() => goOn());
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('what is asked for before the model is there counts no tokens yet', async () => {
    site.hold(/model\.safetensors/);
    const fresh = await openSite(browser, site, '#/steer?len=4&e=1.2_clamp_3', { ignore: [/503/] });
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      // What is there to come is said, and not that an edit is missing.
      for (const side of ['base', 'steered'])
        await fresh.page.locator(`[data-side=${side}]`).getByText('Appears once the model is loaded.').waitFor();
      for (const [name, button] of [
        ['seeds', 'Write with 10 seeds'],
        ['sweep', /^Sweep \d+ strengths/],
      ]) {
        const results = fresh.page.locator(`[data-results=${name}]`);
        await results.getByRole('button', { name: button }).click();
        await results.locator('progress:indeterminate').waitFor();
        assert.doesNotMatch(await results.innerText(), /Token/);
        await results.getByRole('button', { name: 'Stop' }).click();
      }
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('reload and back keep prompt, edits and texts', async () => {
    const before = hashOf(page).params;
    const texts = [await idsOf(page, 'base'), await idsOf(page, 'steered')];
    await page.reload();
    await side(page, 'steered').locator('.chip').first().waitFor();
    assert.deepEqual(hashOf(page).params, before);
    assert.deepEqual([await idsOf(page, 'base'), await idsOf(page, 'steered')], texts);
    await page.getByRole('link', { name: 'About', exact: true }).click();
    await page.getByRole('heading', { name: 'About' }).waitFor();
    await page.goBack();
    await side(page, 'steered').locator('.chip').first().waitFor();
    assert.deepEqual([await idsOf(page, 'base'), await idsOf(page, 'steered')], texts);
    await page.locator('[data-shared=same]').waitFor({ timeout: LOAD_TIMEOUT });
  });

  test('a neuron that another page sent brings its words, even if the vocabulary comes after its strength', async () => {
    site.hold(/tokenizer\.json$/);
    const before = site.requests.length;
    const isAsked = () => site.requests.slice(before).some((url) => url.endsWith('/features/index.json'));
    const fresh = await openSite(browser, site, `#/steer?len=${NEW_TOKENS}&n=${wanted.layer}.${wanted.index}`, { ignore: [/503/] });
    try {
      await fresh.page.getByRole('searchbox').waitFor();
      // The statistics come, which no edit shows yet.
      assert.ok(await eventually(isAsked, Boolean));
      await fresh.page.waitForTimeout(500);
      site.release();
      await fresh.page.locator('[data-divergence]').waitFor({ timeout: 6 * STEP_TIMEOUT });
      assert.match(await fresh.page.getByLabel('Words of the topic').inputValue(), new RegExp(`\\b${wanted.word}\\b`));
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('the number of a neuron that the model does not have is answered with those that it has', async () => {
    await page.getByRole('searchbox').fill('99.1');
    await page.getByText(`with neurons 0 to ${(index.d_model - 1).toLocaleString('en')} in each`).waitFor();
    await page.getByRole('searchbox').fill('');
  });

  test('a sweep fills one row per strength', async () => {
    await page.getByRole('button', { name: /Sweep \d+ strengths/ }).click();
    await page.getByRole('region', { name: 'Strength sweep' }).locator('tbody tr').nth(7).waitFor();
    const cells = await page.getByRole('region', { name: 'Strength sweep' }).locator('tbody tr').first().locator('td').allInnerTexts();
    assert.match(cells[1], /^\d+\.\d\d$/);
    assert.match(cells[0], /^\d+ of \d+$/);
    // Without words of a concept nothing is counted.
    await page.getByLabel('Words of the topic').fill('');
    await page.getByRole('button', { name: /Sweep \d+ strengths/ }).click();
    const rows = page.getByRole('region', { name: 'Strength sweep' }).locator('tbody tr');
    await rows.filter({ hasText: '–' }).nth(7).waitFor();
    assert.equal(await rows.first().locator('td').first().innerText(), '–');
  });

  test('what was made with other settings says so', async () => {
    await page.getByRole('spinbutton', { name: 'Seed' }).fill('11');
    await page.getByRole('spinbutton', { name: 'Seed' }).blur();
    await page.getByText(/^These results are for other settings\. Press “Sweep/).waitFor();
    await page.getByText('These results are for other settings. Press Run to update them.').first().waitFor();
    // Said once, however many results are marked.
    await page.locator('[role=status]').getByText('Results on this page are for other settings.').waitFor({ state: 'attached' });
    assert.equal(await page.locator('[role=status]').getByText('These results are for other settings').count(), 0);
    await page.getByRole('spinbutton', { name: 'Seed' }).fill(String(DEFAULTS.seed));
    await page.getByRole('spinbutton', { name: 'Seed' }).blur();
    await page.getByText('These results are for other settings').first().waitFor({ state: 'detached' });
  });

  test('stopping keeps what was written, and the code names this very run', async () => {
    await page.getByRole('spinbutton', { name: 'Temperature' }).fill('0.75'); // between two steps of the field
    await page.getByRole('spinbutton', { name: 'New tokens' }).fill('200');
    await page.getByRole('spinbutton', { name: 'New tokens' }).press('Tab');
    await page.getByRole('button', { name: 'Run' }).click();
    // Pressed within the page: on a fast machine 200 tokens are written before a click from outside arrives.
    await page.waitForFunction(() => {
      if (document.querySelector('[data-side=base]').dataset.ids.split(',').length <= 20) return false;
      [...document.querySelectorAll('button')].find((button) => button.textContent.trim() === 'Stop').click();
      return true;
    });
    await side(page, 'base').getByText('stopped').waitFor();
    assert.ok((await idsOf(page, 'base')).length > 20);
    await page.getByText('Export: code').click();
    const command = await page.getByRole('region', { name: 'command line' }).innerText();
    assert.match(command, new RegExp(`--edit layer=${wanted.layer},index=${wanted.index},action=clamp,value=[\\d.]+,site=topk_in`));
    const file = await saved(page, () => page.getByRole('button', { name: 'Save both texts as JSON' }).click());
    assert.equal(JSON.parse(file.text).edits[0].index, wanted.index);
  });

  test('a strength that changes while it writes: the texts begin anew, and are not called stopped or written', async () => {
    await slowDown(page, ['nextSteps', 'closeGeneration']);
    await page.getByRole('button', { name: 'Run' }).click();
    await side(page, 'steered')
      .getByText(/^writing, [1-9]/)
      .waitFor();
    await page.locator('input[type=range][aria-valuetext*=" × "]').first().press('ArrowRight');
    await pageTime(page, 600); // by then the texts before have been ended
    const said = await page.evaluate(() => ({
      doing: document.querySelector('[data-doing]').dataset.doing,
      sides: [...document.querySelectorAll('[data-side] .titled .note')].map(({ textContent }) => textContent),
      status: [...document.querySelectorAll('[role=status]')].map(({ textContent }) => textContent).join(),
    }));
    assert.equal(said.doing, 'writing');
    assert.match(said.sides[0], /^writing, \d+ new tokens?$/);
    assert.match(said.sides[1], /^writing, \d+ new tokens?$/);
    assert.match(said.status, /The model is writing\./);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
  });

  test('ready recipes set their edit and words', async () => {
    const recipes = model.read('manifest.json').files.some(({ path }) => path === 'recipes.json') ? model.read('recipes.json') : [];
    await page.getByRole('spinbutton', { name: 'New tokens' }).fill(String(NEW_TOKENS));
    await page.getByRole('spinbutton', { name: 'New tokens' }).press('Tab');
    for (const { concept, edits, words: list } of recipes.slice(0, 1)) {
      const { layer, index: at } = edits[0];
      await page
        .getByRole('button', { name: new RegExp(`^${concept} `, 'i') })
        .first()
        .click(); // the gentle one comes first
      await done(page);
      // The address is written a moment after the click.
      await page.waitForFunction(
        (start) => new URLSearchParams(location.hash.split('?')[1]).get('e')?.startsWith(start),
        `${layer}.${at}_`,
      );
      assert.equal(await page.getByLabel('Words of the topic').inputValue(), list.map((word) => word.toLowerCase()).join(', '));
    }
    await assertCount(page.getByRole('heading', { name: 'Measured recipes' }), recipes.length > 0 ? 1 : 0);
  });

  test('accessible in both themes, no sideways scrolling on a phone', () => assertUsable(page));
});

/** The address is written a moment after a change. */
async function waitForParam(page, name) {
  await page.waitForFunction((wanted) => new URLSearchParams(location.hash.split('?')[1]).has(wanted), name);
  return hashOf(page).params[name];
}

function specialised({ columns, d_model: width, layers, entropy }, words) {
  const { writes_up: written, steer, specificity } = columns;
  const candidates = columns.top_tokens.flatMap((read, entry) => {
    const text = words.get((written?.[entry] ?? read)[0]) ?? '';
    const word = text.replace('Ġ', '').toLowerCase();
    const known = written ? text.startsWith('Ġ') && steer[entry] !== null && specificity[entry] >= 1 : columns.n[entry] === entropy.n;
    const order = written ? -specificity[entry] : columns.token_entropy[entry];
    return known && /^[a-z]{4,}$/.test(word) ? [{ entry, word, order, unit: (written ? steer : columns.max)[entry] }] : [];
  });
  const [best] = candidates.sort((a, b) => a.order - b.order || a.entry - b.entry);
  return best && { ...best, layer: layers[Math.floor(best.entry / width)], index: best.entry % width };
}
