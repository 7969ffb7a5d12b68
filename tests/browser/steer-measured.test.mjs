// Steering a model whose statistics say what neurons write (features of format 2): found by that, set as it was measured, ten seeds, sets, and nothing
// on the page that other settings made.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serveFiles } from './many-neurons.mjs';
import { addressHasSteered, assertUsable, hashOf, offeredModels, shippedModel, siteModule, STEP_TIMEOUT, withSite } from './page-kit.mjs';

const { DEFAULTS } = await siteModule('stored-steering.ts');

const NEW_TOKENS = 6;
const model = shippedModel();
const [, other] = offeredModels();

/** A neuron that writes " dog", and one of another layer that writes " cat" but with which no text reads. */
const WRITER = { layer: 2, index: 17, value: 2.5, surprise: 1.2 };
const BREAKER = { layer: 3, index: 18, strong: 2 };
const PROMPTS = ['Tom has a dog. He', 'The sun is up and'];

/** The shipped model's statistics in format 2, in which only these two neurons write anything. */
function measured() {
  const index = model.read('features/index.json');
  const { Ġdog: dog, Ġcat: cat } = model.read('tokenizer.json').model.vocab;
  const entryOf = ({ layer, index: at }) => index.layers.indexOf(layer) * index.d_model + at;
  const column = (rest, entries) => {
    const values = new Array(index.columns.label.length).fill(rest);
    for (const [neuron, value] of entries) values[entryOf(neuron)] = value;
    return values;
  };
  Object.assign(index.columns, {
    writes: column('', [
      [WRITER, 'dog'],
      [BREAKER, 'cat'],
    ]),
    writes_up: column(null, [
      [WRITER, [dog]],
      [BREAKER, [cat]],
    ]),
    writes_down: column(null, []),
    specificity: column(null, [
      [WRITER, 4.2],
      [BREAKER, 2],
    ]),
    strong: column(null, [
      [WRITER, 2],
      [BREAKER, BREAKER.strong],
    ]),
    steer: column(null, [[WRITER, WRITER.value]]),
  });
  const path = `features/layer${WRITER.layer}/${WRITER.index - (WRITER.index % index.shards.per_file)}.json`;
  const records = model.read(path);
  const writes = {
    label: 'dog',
    stable: true,
    value: 2,
    kl: 0.4,
    kl_stronger: 1,
    up: [[dog, 2]],
    down: [],
    up_stronger: [],
    specificity: 4.2,
    steer: { value: WRITER.value, surprise: WRITER.surprise },
    contrasts: [],
  };
  const neurons = records.neurons.map((record) => ({ ...record, writes: record.index === WRITER.index ? writes : null }));
  const edit = ({ layer, index: at }, value) => ({ layer, index: at, action: 'clamp', value, site: 'topk_out', positions: 'generated' });
  const recipe = { words: ['dog', 'dogs'], base_rate: 0.1, steered_rate: 2, tokens: 60, judge: 'J', prompts: PROMPTS };
  const recipes = [
    { ...recipe, concept: 'animals', edits: [edit(WRITER, 4), edit(BREAKER, -2)], success: 0.8, nll_ratio: 1.21, gentle: true },
    { ...recipe, concept: 'noise', ...edit(BREAKER, 9), success: 0.4, nll_ratio: 2.5, gentle: false },
  ];
  return {
    'features/index.json': { ...index, format: 2 },
    [path]: { ...records, format: 2, neurons },
    'recipes.json': recipes,
  };
}

describe('steering by what neurons write', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  let page;
  const serving = model.features && { intercept: serveFiles(model, measured()) };
  withSite({ hash: `#/steer?len=${NEW_TOKENS}&temp=0`, load: true, serve: serving }, (on) => {
    ({ page } = on);
  });

  const idsOf = (side) => page.locator(`[data-side=${side}]`).getAttribute('data-ids');
  const done = async () => {
    await page.locator('[data-divergence]').waitFor();
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
  };
  const editsAre = (wanted) => page.waitForFunction((e) => new URLSearchParams(location.hash.split('?')[1]).get('e') === e, wanted);
  const tenSeeds = () => page.getByRole('region', { name: 'Ten seeds', exact: true });
  const setSlider = () => page.locator('[data-set] input');

  test('the page starts from a prompt on which its presets were measured, and says so', async () => {
    await page.getByText('one of the 2 prompts on which they were measured').waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Prompt' }).inputValue(), PROMPTS[0]);
    await page.getByRole('textbox', { name: 'Prompt' }).fill('A prompt of mine');
    await page.getByRole('button', { name: `take “${PROMPTS[0]}”` }).click();
    assert.equal(await page.getByRole('textbox', { name: 'Prompt' }).inputValue(), PROMPTS[0]);
  });

  test('presets have their rate and their surprise in words', async () => {
    const animals = await page.getByRole('button', { name: /^Animals/ }).innerText();
    assert.match(animals, /0\.1 → .*2\.0.*1\.21 ×.*2 neurons · shows in 8 of 10 texts · still reads well/s);
    assert.match(await page.getByRole('button', { name: /^Noise/ }).innerText(), /shows in 4 of 10 texts · hardly reads/);
  });

  test('a word finds the neuron that writes it; one click writes, at the strength at which text stays readable', async () => {
    await page.getByRole('searchbox').fill('dog');
    const first = page.getByRole('list', { name: 'Neurons found' }).getByRole('button').first();
    await first.waitFor();
    assert.match(await first.innerText(), /2\.17[\s\S]*writes dog[\s\S]*4\.2 ×/);
    assert.match(await page.locator('[data-said][role=status]').first().innerText(), /^\d+ neurons? found\.$/);
    await first.click();
    await done();
    assert.ok((await idsOf('steered')).length > 0);
    await editsAre('2.17_clamp_2.5_in_next');
    assert.equal(await page.getByLabel('Positions').inputValue(), 'next');
    await page.getByText('Measured on short texts: at 2.50 the text still reads well (1.20 × the surprise).', { exact: true }).waitFor();
    assert.equal(await page.getByLabel('Words of the topic').inputValue(), 'dog');
    await page.getByText('Export: code').click();
    assert.match(await page.getByRole('region', { name: 'JavaScript' }).innerText(), /"positions":\{"from":\d+,"to":\d+\}/);
    await page.getByText('Export: code').click();
  });

  test('where no strength reads, that is said, and the strong activation is taken', async () => {
    await page.getByRole('searchbox').fill('cat');
    const first = page.getByRole('list', { name: 'Neurons found' }).getByRole('button').first();
    assert.match(await first.innerText(), /3\.18[\s\S]*breaks the text/);
    await first.click();
    await editsAre('2.17_clamp_2.5_in_next*3.18_clamp_2_in_next');
    await page.getByText('the text broke at every strength we tried').waitFor();
    await done();
    await page.getByRole('button', { name: /Remove the edit of layer 3/ }).click();
    await done();
  });

  test('ten seeds: not at temperature 0, where all write one text; else how often the words appear, base beside steered, and three texts', async () => {
    await tenSeeds().getByText('At temperature 0 every seed writes the same text').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Write with 10 seeds' }).isDisabled(), true);
    const temperature = page.getByRole('spinbutton', { name: 'Temperature' });
    await temperature.fill('0.8');
    await temperature.blur();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByText('These results are for other settings').first().waitFor({ state: 'detached' });
    await done();
    await page.getByRole('button', { name: 'Write with 10 seeds' }).click();
    await page.locator('[data-results=seeds][data-done="10"]').waitFor();
    const finding = await page.locator('[data-finding]').innerText();
    assert.match(
      finding,
      /appear in \d+ of 10 steered texts, and in \d+ without: \d+\.\d → \d+\.\d words a text\..*\(\d+\.\d\d × the surprise\)/s,
    );
    const said = await tenSeeds().getByRole('img').last().getAttribute('aria-label');
    assert.match(said, /Base: (\d\.\d\d, ){9}\d\.\d\d; mean .*Steered: (\d\.\d\d, ){9}\d\.\d\d; mean/);
    const texts = await tenSeeds().getByRole('listitem').allInnerTexts();
    assert.equal(texts.length, 3);
    assert.match(texts[0], new RegExp(`^Seed ${DEFAULTS.seed}\\s*Base .*Steered `, 's'));
  });

  test('a change of settings marks every result at once; going back takes the mark away', async () => {
    const marks = page.getByText('These results are for other settings');
    await page.getByRole('button', { name: /Sweep \d+ strengths/ }).click();
    await page.getByRole('region', { name: 'Strength sweep' }).locator('tbody tr').nth(7).waitFor();
    assert.equal(await marks.count(), 0);
    const seed = page.getByRole('spinbutton', { name: 'Seed' });
    await seed.fill('11');
    await seed.blur();
    // How it differs, what was evicted, the ten seeds, the sweep.
    await page.waitForFunction(() => document.body.innerText.match(/These results are for other settings/g)?.length === 4);
    await page.getByText('Export: code').click();
    await page.getByText('Press Run first').waitFor();
    assert.equal(await page.getByRole('region', { name: 'command line' }).count(), 0);
    await page.getByText('Export: code').click();
    await seed.fill(String(DEFAULTS.seed));
    await seed.blur();
    await marks.first().waitFor({ state: 'detached' });
  });

  test('ten seeds can be stopped, and stop by themselves when the settings change', async () => {
    const tokens = page.getByRole('spinbutton', { name: 'New tokens' });
    await tokens.fill('120');
    await tokens.press('Tab');
    await page.getByRole('button', { name: 'Write with 10 seeds' }).click();
    await tenSeeds().getByRole('button', { name: 'Stop' }).click();
    await page.locator('[data-results=seeds]:not([data-done=writing])').waitFor();
    await page.getByRole('button', { name: 'Write with 10 seeds' }).click();
    await tokens.fill(String(NEW_TOKENS));
    await tokens.press('Tab');
    await page.locator('[data-results=seeds]:not([data-done=writing])').waitFor();
    assert.notEqual(await page.locator('[data-results=seeds]').getAttribute('data-done'), '10');
  });

  test('a set is one preset with one slider', async () => {
    await page.getByRole('button', { name: /^Animals/ }).click();
    await editsAre('2.17_clamp_4_out_generated*3.18_clamp_-2_out_generated');
    await done();
    const before = await idsOf('base');
    const average = page.getByText(/\(\d+\.\d\d ×: [^;]+; its recipe’s average: 1\.21 ×\)/);
    await average.waitFor();
    assert.match(await setSlider().getAttribute('aria-valuetext'), /^1\.00 ×/);
    await setSlider().focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await editsAre('2.17_clamp_4.4_out_generated*3.18_clamp_-2.2_out_generated');
    assert.match(await setSlider().getAttribute('aria-valuetext'), /^1\.10 ×/);
    await average.waitFor({ state: 'detached' }); // it was measured at its own strength
    await done();
    assert.equal(await idsOf('base'), before);
    await addressHasSteered(page, (await idsOf('steered')).split(',').map(Number));
    await page.reload();
    await page.locator('[data-shared=same]').waitFor({ timeout: 2 * STEP_TIMEOUT });
    assert.match(await setSlider().getAttribute('aria-valuetext'), /^1\.10 ×/, 'a set is known again by its recipe');
  });

  test('a set is let go after some new tokens: in the address, through the slider, and back', async () => {
    const all = await idsOf('steered');
    const letGo = page.getByRole('checkbox', { name: 'Stop the edits after' });
    assert.equal(await letGo.isChecked(), false);
    await letGo.check();
    assert.equal(
      await page.getByRole('button', { name: /^Animals/ }).getAttribute('aria-pressed'),
      'false',
      'its rate was measured to the end',
    );
    await editsAre('2.17_clamp_4.4_out_generated12*3.18_clamp_-2.2_out_generated12');
    await done();
    assert.equal(await idsOf('steered'), all, 'texts of fewer tokens are written under the edits to the end');
    const tokens = page.getByRole('spinbutton', { name: 'Tokens until then' });
    await tokens.fill('1');
    await tokens.press('Tab');
    await editsAre('2.17_clamp_4.4_out_generated1*3.18_clamp_-2.2_out_generated1');
    await done();
    const [base, freed] = [await idsOf('base'), await idsOf('steered')].map((ids) => ids.split(',').length);
    assert.equal(freed, base, 'a whole text');
    await setSlider().focus();
    await page.keyboard.press('ArrowRight');
    await editsAre('2.17_clamp_4.6_out_generated1*3.18_clamp_-2.3_out_generated1');
    await page.keyboard.press('ArrowLeft');
    await page.getByLabel('Positions').selectOption('prompt');
    await editsAre('2.17_clamp_4.4_out_prompt*3.18_clamp_-2.2_out_generated1');
    await page.getByLabel('Positions').selectOption('generated');
    await letGo.check();
    await letGo.uncheck();
    await editsAre('2.17_clamp_4.4_out_generated*3.18_clamp_-2.2_out_generated');
    await done();
    assert.equal(await idsOf('steered'), all);
    assert.match(await setSlider().getAttribute('aria-valuetext'), /^1\.10 ×/, 'the recipe again');
  });

  test('the sweep of a set scales all of it, and a row of it sets the slider', async () => {
    const sweep = page.locator('[data-results=sweep]');
    await sweep.getByText('8 strengths of all 2 neurons').waitFor();
    await sweep.getByRole('button', { name: /Sweep \d+ strengths/ }).click();
    await page.locator('[data-results=sweep][data-done="8"]').waitFor();
    await sweep.getByText('for all 2 neurons').waitFor();
    await sweep.getByRole('button', { name: '1.50 ×' }).click();
    await editsAre('2.17_clamp_6_out_generated*3.18_clamp_-3_out_generated');
    assert.match(await setSlider().getAttribute('aria-valuetext'), /^1\.50 ×/);
    await done();
    assert.equal(await sweep.getByText('These results are for other settings').count(), 0, 'its rows are still those of the set');
    const text = (await sweep.getByRole('row').nth(4).locator('td').last().innerText()).replaceAll(/\s+/g, '');
    const shown = (await page.locator('[data-side=steered] .chip').allInnerTexts()).join('').replaceAll(/[\s↵⇥]+/g, '');
    assert.ok(text.length > 0 && shown.endsWith(text), `${shown} should end with ${text}`);
  });

  test('accessible in both themes, no sideways scrolling on a phone', async () => {
    await page.getByRole('button', { name: 'Write with 10 seeds' }).click();
    await page.locator('[data-results=seeds][data-done="10"]').waitFor();
    await assertUsable(page);
  });

  test('another model has no results, edits or texts of this one', async (t) => {
    if (!other) return t.skip('only one model is offered');
    await page.getByRole('combobox', { name: 'Model' }).selectOption(other.name);
    await page.getByText('The edits were those of another model').waitFor();
    assert.equal(await idsOf('base'), '');
    assert.equal(await page.locator('[data-results=seeds]').getAttribute('data-done'), '0');
    await page.waitForFunction(() => !/[?&](e|b|s)=/.test(location.hash));
    assert.equal(hashOf(page).params.e, undefined);
  });
});
