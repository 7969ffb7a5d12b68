// A neuron's page shows what its record says, scores a text, and leads on.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  STEP_TIMEOUT,
  accessibilityFindings,
  addressHas,
  assertCount,
  assertUsable,
  eventually,
  hashOf,
  loaded,
  openSite,
  saved,
  shippedModel,
  siteModule,
  withSite,
} from './page-kit.mjs';

const { namedIn, plainLabel, readsOf } = await siteModule('neurons.ts');
const { marker } = await siteModule('../../../js/src/features/beginnings.ts');
const model = shippedModel();

describe('neuron page', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  if (!model.features) return;
  const index = model.read('features/index.json');
  // A neuron with everything: not rare, in the middle layer.
  const place = Math.floor(index.layers.length / 2);
  const layer = index.layers[place];
  const at = index.columns.n.findIndex((n, entry) => n === index.entropy.n && entry >= place * index.d_model) % index.d_model;
  const shard = index.shards.path.replace('{layer}', layer).replace('{start}', at - (at % index.shards.per_file));
  const record = model.read(`features/${shard}`).neurons.find((neuron) => neuron.index === at);
  const said = (label) => plainLabel(marker(index.beginnings)(label));
  let site;
  let browser;
  let page;
  withSite({ hash: `#/m/${model.name}/${layer}/${at}` }, (on) => {
    ({ site, browser, page } = on);
  });

  test('label, numbers, examples, layers and training are those of the record', async () => {
    await page.locator(`[data-neuron="${layer}.${at}"]`).waitFor();
    await page.getByText(said(record.label), { exact: false }).first().waitFor();
    await page.locator('summary', { hasText: 'Figures for researchers' }).first().focus();
    await page.keyboard.press('Enter');
    await page
      .getByText(`${record.token_entropy.toFixed(2)} bits`)
      .first()
      .waitFor();
    const { top, quantiles, random } = record.examples;
    const examples = top.length + random.length + quantiles.reduce((sum, { examples }) => sum + examples.length, 0);
    const shown = page
      .getByRole('heading', { name: 'Examples' })
      .locator('..')
      .getByLabel(/^Example, value/);
    await assertCount(shown, examples);
    // A band of the examples is one of ranks, not of the maximum.
    for (const name of ['Highest', 'Second highest', 'Second lowest', 'Lowest'].slice(0, quantiles.length))
      await page.getByRole('heading', { name: `${name} quarter by rank`, exact: true }).waitFor();
    assert.equal(await page.getByRole('heading', { name: /of its maximum/ }).count(), 0);
    await assertCount(page.getByRole('heading', { name: 'The same index' }).locator('..').getByRole('link'), index.layers.length);
    const training = page.getByRole('heading', { name: 'Across training' }).locator('..');
    if (index.steps.length > 0) {
      await assertCount(training.locator('table').last().locator('tbody tr'), model.read('features/steps/columns.json').steps.length);
    } else await training.getByText('No checkpoints of this model were analyzed').waitFor();
  });

  test('the figures for researchers have what was measured, beside its controls, at 390 px too', async () => {
    const part = page.locator('[data-measurements]');
    const { reads, writes, states } = record;
    const two = (number) => number.toFixed(2).replace('-', '−');
    const section = (name) => part.locator('section', { has: page.getByRole('heading', { name, exact: true }) });
    const says = async (name, texts) => {
      const text = await section(name).innerText();
      for (const wanted of texts) assert.ok(text.includes(wanted), `${name}: ${wanted} in ${text}`);
    };
    if (reads) {
      await says('Its label as a detector', [two(reads.f1), two(reads.detection), said(reads.label)]);
      await assertCount(section('Token entropy at fixed shares').locator('tbody tr'), reads.shares.length);
      await says('Where it is active', [`${two(reads.places.quoted)} ×`]);
    }
    if (states) await says('What it marks in stories', [two(states.best[0].f1), `the best F1 is ${two(states.f1_shuffled)}`]);
    if (writes) {
      await says('What setting it does', [`${two(writes.kl)} nats`, `${two(writes.specificity)} ×`, two(writes.steer?.value ?? writes.kl)]);
      const { contrasts } = model.read('features/contrasts.json');
      const [number, effect] = writes.contrasts[0];
      await section('What it turns').getByRole('row').nth(1).waitFor();
      await says('What it turns', [contrasts[number].name, two(effect), two(contrasts[number].controls[place])]);
    }
    const before = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${wide} px wide`);
    assert.deepEqual(await accessibilityFindings(page), []);
    await page.setViewportSize(before);
  });

  test('where a label does not name the token at which the neuron is strongest, that stands beside it', async () => {
    const { page: other } = await openSite(browser, site, `#/m/${model.name}/${index.layers[0]}/0`);
    const found = [];
    try {
      for (let number = 0; number < index.shards.per_file; number++) {
        await other.locator(`[data-neuron="${index.layers[0]}.${number}"]`).waitFor();
        const tokens = await other.locator('[aria-labelledby=fires-title] ul').first().locator('.token').allInnerTexts();
        const said = (await other.locator('p.label').innerText()).replace(' (a guess, made by a rule)', '');
        const [label, strongest] = said.split('· strongest at ');
        const first = tokens.slice(0, 3).map((token) => readsOf(token.trim()));
        if (strongest !== undefined) assert.equal(strongest, first.join(', '));
        assert.equal(strongest !== undefined, first.length > 0 && !namedIn(label.trim()).includes(first[0]), `${label}: ${first}`);
        found.push(strongest !== undefined);
        await other.getByRole('button', { name: /Next/ }).click();
      }
    } finally {
      await other.close();
    }
    assert.ok(found.includes(true) && found.includes(false), String(found));
  });

  test('one that is close to itself only at the last step has not settled', { skip: index.steps.length === 0 && 'no steps' }, async () => {
    const entry = index.columns.emergence.findIndex((step) => step !== null && step === index.steps.at(-1));
    const { page: other } = await openSite(
      browser,
      site,
      `#/m/${model.name}/${index.layers[Math.floor(entry / index.d_model)]}/${entry % index.d_model}`,
    );
    try {
      await other.getByText('Figures for researchers').first().click();
      await other.getByText('only at the end: not settled').first().waitFor();
    } finally {
      await other.context().close();
    }
  });

  test('what setting it does is there without unfolding: tokens, and a contrast that it turns', async () => {
    const start = model.start && model.read('start.json').edit;
    if (!start) return;
    const fresh = await openSite(browser, site, `#/m/${model.name}/${start.layer}/${start.index}`);
    try {
      await fresh.page.getByRole('heading', { name: 'Makes more likely, measured by setting it' }).waitFor();
      await fresh.page
        .getByText(
          /^Turns .+ to “.+” \d+\.\d times as far as the best of 100 random neurons, all at the largest values at which their texts stay readable\.$/,
        )
        .waitFor();
      // The start page’s figure is among them, in its words.
      const { figures } = model.read('start.json');
      if (figures.kind === 'switch') {
        const said = fresh.page.locator('[data-turn]');
        await said.getByText(new RegExp(`${figures.contrast} to “.+”,? ${figures.times.toFixed(1)} times as far`)).waitFor();
        const own = model.read('features/switches.json').switches.filter((one) => one.layer === start.layer && one.index === start.index);
        const times = own.map((one) => one.times.toFixed(1)).sort((a, b) => Number(b) - Number(a));
        const lines = (await said.getByRole('paragraph').allInnerTexts()).map((line) => / (\d+\.\d) times/.exec(line)[1]);
        assert.deepEqual(lines, times.slice(0, 3));
      }
    } finally {
      await fresh.close();
    }
  });

  test('a number’s definition shows on focus', async () => {
    const term = page.getByRole('button', { name: 'Token entropy' }).first();
    await term.focus();
    await page.getByText('Entropy of the input tokens').first().waitFor({ state: 'visible' });
  });

  test('it scores the reader’s own text', async () => {
    assert.equal(await loaded(page), 'cpu');
    // Until they type, a text in which the neuron is active.
    await page.getByText(/Active at [1-9]\d* of \d+ tokens/).waitFor();
    const word = model.read('tokenizer.json').model.vocab;
    const token = Object.keys(word).find((text) => word[text] === record.tokens[0][0]);
    await page.getByRole('textbox', { name: 'Your own text' }).fill(`Once there was${token.replace('Ġ', ' ')} here.`);
    await page.locator('[data-own]', { hasText: 'Once' }).waitFor(); // the text before stays until then
    await page.getByText(/Active at \d+ of \d+ tokens/).waitFor();
    // It is in the address, and follows an address that is opened, and the step back.
    const own = page.getByRole('textbox', { name: 'Your own text' });
    const typed = await own.inputValue();
    await own.blur();
    await addressHas(page, 'p', typed);
    await page.evaluate(() => (location.hash = location.hash.replace(/p=[^&]*/, 'p=Another+text')));
    assert.equal(
      await eventually(
        () => own.inputValue(),
        (text) => text === 'Another text',
      ),
      'Another text',
    );
    await page.goBack();
    assert.equal(
      await eventually(
        () => own.inputValue(),
        (text) => text === typed,
      ),
      typed,
    );
  });

  test('a text half typed stays behind when another page is opened', async () => {
    await page.getByRole('textbox', { name: 'Your own text' }).press('x');
    await page.evaluate(() => (location.hash = '#/explore?p=Hello+there'));
    await page.locator('main[data-page=explore]').waitFor();
    const text = page.getByRole('textbox', { name: 'Text' });
    const isThere = (value) => value === 'Hello there';
    assert.ok(isThere(await eventually(() => text.inputValue(), isThere)));
    assert.equal(hashOf(page).params.p, 'Hello there');
    await page.goBack();
    await page.locator(`main[data-page=neuron] [data-neuron="${layer}.${at}"]`).waitFor();
  });

  test('export in the keys of SAEDashboard’s Neuronpedia files', async () => {
    const { name, text } = await saved(page, () => page.getByRole('button', { name: 'Export JSON' }).click());
    assert.ok(name.endsWith(`layer${layer}-${at}.json`));
    const batch = JSON.parse(text);
    assert.equal(batch.model_id, index.model);
    assert.equal(batch.layer, layer);
    const [feature] = batch.features;
    assert.equal(feature.feature_index, at);
    assert.equal(feature.frac_nonzero, record.density);
    assert.deepEqual(
      feature.pos_values,
      record.promoted.map(([, effect]) => effect),
    );
    assert.equal(feature.freq_hist_data_bar_heights.length, feature.freq_hist_data_bar_values.length);
    const [example] = feature.activations;
    assert.equal(example.tokens.length, example.values.length);
    assert.equal(example.values[example.qualifying_token_index], record.examples.top[0].value);
  });

  test('a chart is saved as SVG and PNG', async () => {
    const chart = page.locator('figure', { hasText: 'Active values' });
    await chart.getByText('Numbers').click();
    await assertCount(chart.locator('tbody tr'), record.histogram.counts.length);
    const svg = await saved(page, () => chart.getByRole('button', { name: 'SVG' }).click());
    assert.match(svg.text, /^<svg .*<rect /);
    // A fault is announced, and gone once it is made.
    await page.evaluate(() => {
      const { toBlob } = HTMLCanvasElement.prototype;
      HTMLCanvasElement.prototype.toBlob = (done) => {
        HTMLCanvasElement.prototype.toBlob = toBlob;
        done(null);
      };
    });
    await chart.getByRole('button', { name: 'PNG' }).click();
    await chart.getByRole('status').getByText('The browser could not make a PNG of the chart.').waitFor();
    const png = await saved(page, () => chart.getByRole('button', { name: 'PNG' }).click());
    assert.match(png.text, /^.PNG/);
    await chart.getByRole('status').getByText('could not').waitFor({ state: 'detached' });
  });

  test('the next neuron, back, and a comparison with another', async () => {
    await page.getByRole('button', { name: 'Next neuron' }).click();
    const next = (at + 1) % index.d_model;
    await page.locator(`[data-neuron="${layer}.${next}"]`).waitFor();
    await page.goBack();
    await page.locator(`[data-neuron="${layer}.${at}"]`).waitFor();
    await page.getByLabel('Layer.index').fill(`${layer}.${next}`);
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('heading', { name: `Layer ${layer} neuron ${next}` }).waitFor();
    assert.equal(hashOf(page).params.vs, `${layer}.${next}`);
    // Its own page does not compare it with itself.
    assert.doesNotMatch(await page.locator('.pair').getByRole('link', { name: 'Details' }).last().getAttribute('href'), /vs=/);
    const ids = await page.locator('[id]').evaluateAll((all) => all.map(({ id }) => id));
    assert.deepEqual(
      ids.filter((id, i) => ids.indexOf(id) !== i),
      [],
      'an id that is there twice',
    );
    assert.ok((await page.getByRole('link', { name: 'Steer with this' }).first().getAttribute('href')).includes(`n=${layer}.${at}`));
    // Closed by keyboard, which goes on at the field.
    await page.locator('.pair').getByRole('button', { name: 'Close' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('.pair').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.activeElement === document.querySelector('[aria-labelledby=compare-title] input'));
  });

  test('accessible, and fits a phone', () => assertUsable(page));

  test('while a record is read, that is said in full contrast, and figures of the neuron before are known as such', async () => {
    site.hold(/features\/(steps\/)?layer\d+\//);
    try {
      // A fresh visit: nothing is stored, nothing was read before.
      const fresh = await openSite(browser, site, `#/m/${model.name}/${layer}/${at}`);
      try {
        await fresh.page.getByText('Loading its statistics.').waitFor({ timeout: STEP_TIMEOUT });
        assert.deepEqual(await accessibilityFindings(fresh.page), []);
        await fresh.page.goto(`${site.url}?backend=cpu#/explore?n=${layer}.${at}`);
        await fresh.page
          .locator(`section[data-neuron="${layer}.${at}"]`)
          .getByText('Loading its statistics.')
          .waitFor({ timeout: STEP_TIMEOUT });
        assert.deepEqual(await accessibilityFindings(fresh.page), []);
      } finally {
        await fresh.close();
      }
    } finally {
      site.release();
    }
    // A neuron of another file, which is held: the figures on screen are the old ones.
    const other = (at + 5 * index.shards.per_file) % index.d_model;
    await page.evaluate((hash) => (location.hash = hash), `#/m/${model.name}/${layer}/${at}`);
    await page.locator(`[data-neuron="${layer}.${at}"]`).waitFor();
    await page.getByText(said(record.label)).first().waitFor();
    site.hold(/features\/(steps\/)?layer\d+\//);
    try {
      await page.evaluate((hash) => (location.hash = hash), `#/m/${model.name}/${layer}/${other}`);
      await page.getByRole('heading', { level: 1, name: `Layer ${layer} neuron ${other}` }).waitFor();
      await page.getByText('Loading its statistics.').waitFor();
      assert.ok(await page.getByRole('button', { name: 'Export JSON' }).isDisabled(), 'the neuron before would be exported');
      assert.equal(await page.locator('dl.stats').first().getAttribute('aria-busy'), 'true');
      assert.deepEqual(await accessibilityFindings(page), []);
    } finally {
      site.release();
    }
  });

  test('a neuron that does not exist is a sentence', async () => {
    await page.goto(`${site.url}?backend=cpu#/m/${model.name}/${layer}/99999`);
    await page.getByText(`must be below ${index.d_model}`).waitFor();
    await page.locator('.steps').waitFor({ state: 'hidden' });
  });
});
