// The TopK model, its dense twin and an autoencoder on it, side by side on Explore and Steer: each column against the npm package in Node.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { writeSae } from '../package/sae.mjs';
import {
  assertUsable,
  eventually,
  hashOf,
  holdText,
  LOAD_TIMEOUT,
  offeredModels,
  openSite,
  siteModule,
  STEP_TIMEOUT,
  withSite,
} from './page-kit.mjs';

const pair = offeredModels().find(({ kind, dense_twin: twin }) => kind === 'topk' && offeredModels().some(({ name }) => name === twin));
const skip = !pair && 'no model names a dense twin that is there';

describe('compared with its twin', { timeout: 1_800_000, skip }, () => {
  if (skip) return;
  const twin = offeredModels().find(({ name }) => name === pair.dense_twin);
  const { hidden_size: width } = JSON.parse(fs.readFileSync(path.join(paths.models, twin.name, 'config.json'), 'utf8'));
  const sae = writeSae('compare', width);
  const [shipped] = twin.saes;
  const isTwins = (request) => decodeURIComponent(request).includes(`/models/${twin.name}/`);
  let site;
  let browser;
  let page;
  let TopKLM;
  let reference;
  withSite(
    {
      hash: `#/explore?model=${pair.name}`,
      load: true,
      serve: { mounts: { '/sae/': sae } },
      ignore: [/404.*elsewhere|elsewhere.*404|status of 404 .*elsewhere/],
    },
    (on) => {
      ({ site, browser, page } = on);
    },
  );
  before(async () => {
    ({ TopKLM } = await import('topk-lm'));
    reference = await TopKLM.load(path.join(paths.models, twin.name), { backend: 'cpu' });
  });
  after(() => reference?.dispose());

  const column = (on, side) => on.locator(`[data-column=${side}]`);
  const compare = (on) => on.getByRole('button', { name: 'Compare', exact: true });
  const load = async (on) => {
    await on.getByRole('button', { name: /^Load .* MB\)$/ }).click();
    await on.locator('[data-column=twin] [data-read], [data-column=twin] [data-outcome]').first().waitFor({ timeout: LOAD_TIMEOUT });
  };

  /** Its labels, which come with the statistics: the values do not wait for those. */
  const labelsOf = (on, side) => () => column(on, side).locator('.label').allInnerTexts();

  /** The shown ids, once the column is of that many tokens: what it has of features and next tokens. */
  async function readColumn(on, side, length) {
    const read = column(on, side).locator(`[data-read="${length}"]`);
    await read.waitFor();
    const rows = await read
      .locator('[data-feature]')
      .evaluateAll((all) =>
        all.map((row) => ({ index: Number(row.dataset.feature), value: Number(row.cells[2].textContent.replace('−', '-')) })),
      );
    const next = await read.locator('[data-next]').evaluateAll((all) => all.map((row) => Number(row.dataset.next)));
    return { rows, next, text: await read.innerText() };
  }

  /** Whether rows hold what a model has at the last of some ids, and the next tokens are its own. */
  async function isOf(model, ids, hook, { rows, next }) {
    const { hooks, logits } = await model.run(ids, { hooks: [hook], logits: 'last' });
    const { data, shape } = hooks[hook];
    const last = data.subarray((ids.length - 1) * shape[1]);
    for (const { index, value } of rows) assert.ok(Math.abs(last[index] - value) < 0.006, `${hook} ${index}: ${value}, not ${last[index]}`);
    const likely = [...logits.data.keys()].sort((a, b) => logits.data[b] - logits.data[a]);
    assert.deepEqual(next, likely.slice(0, next.length));
    return last;
  }

  const shownIds = async () => {
    const { decodeIds } = await siteModule('route.ts');
    return decodeIds(hashOf(page).params.t);
  };

  test('nothing of the twin is fetched before the press; then its coordinates stand beside the neurons', async () => {
    await page.getByRole('textbox', { name: 'Text' }).fill('The little dog was very happy');
    await page.waitForFunction(() => /[?&]t=/.test(location.hash));
    await page.locator('[data-state=live]').waitFor();
    await compare(page).click();
    const ids = await shownIds();
    const own = await readColumn(page, 'own', ids.length);
    assert.equal(own.rows.length, 8);
    await page.getByRole('button', { name: /^Load .* MB\)$/ }).waitFor();
    assert.deepEqual(site.requests.filter(isTwins), []);
    await load(page);
    const its = await readColumn(page, 'twin', ids.length);
    const layer = await page.getByRole('combobox', { name: 'Layer' }).last().inputValue();
    assert.equal(hashOf(page).params.vs, layer);
    await isOf(reference, ids, `blocks.${layer}.hook_resid_post`, its);
    assert.match(its.text, new RegExp(`${width.toLocaleString('en')} of ${width.toLocaleString('en')} coordinates have a value`));
    // A label for each: both models have statistics.
    if (twin.features) {
      const labels = await eventually(labelsOf(page, 'twin'), (texts) => !texts.includes('–'));
      assert.ok(labels.length > 0 && !labels.includes('–'), labels.join(' | '));
    }
  });

  test('another token and another layer are read in both, and the address keeps them', async () => {
    await page
      .getByRole('listbox', { name: /one option per token/ })
      .getByRole('option')
      .nth(3)
      .click();
    const select = page.getByRole('region', { name: /^Compare with/ }).getByRole('combobox', { name: 'Layer' });
    const [first] = await select.locator('option').allInnerTexts();
    await select.selectOption(first);
    const ids = (await shownIds()).slice(0, 4);
    await readColumn(page, 'own', 4);
    // The old layer stands, marked as such, until the new one is read.
    await page.waitForFunction(() => !document.querySelector('[data-read=reading]'));
    await isOf(reference, ids, `blocks.${first}.hook_resid_post`, await readColumn(page, 'twin', 4));
    assert.deepEqual([hashOf(page).params.vs, hashOf(page).params.at], [first, '3']);
    const link = await column(page, 'twin').getByRole('link').first().getAttribute('href');
    assert.ok(link.startsWith(`#/m/${twin.name}/${first}/`), link);
  });

  test('an autoencoder from an address: its features, its next tokens, what it costs', async () => {
    const panel = column(page, 'sae');
    if (shipped) await panel.getByText('One of your own').click();
    await panel.getByRole('textbox').fill('nothing');
    await panel.getByRole('button', { name: 'Attach' }).click();
    await panel.getByRole('alert').getByText('neither an address').waitFor();
    await panel.getByRole('textbox').fill(`${site.origin}elsewhere/`);
    await panel.getByRole('button', { name: 'Attach' }).click();
    await panel.getByRole('alert').getByText('cfg.json is missing').waitFor({ timeout: LOAD_TIMEOUT });
    await panel.getByRole('textbox').fill(`${site.origin}sae`);
    await panel.getByRole('button', { name: 'Attach' }).click();
    await panel.locator('[data-quality]').waitFor({ timeout: LOAD_TIMEOUT });
    assert.deepEqual([hashOf(page).params.sae, hashOf(page).params.vs], [`${site.origin}sae/`, '2']);
    const read = await readColumn(page, 'sae', 4);
    const ids = (await shownIds()).slice(0, 4);
    const { hook } = await reference.attachSae(sae);
    try {
      const last = await isOf(reference, ids, `${hook}.hook_sae_acts_post`, read);
      const active = [...last.keys()].filter((index) => last[index] !== 0).sort((a, b) => last[b] - last[a] || a - b);
      assert.deepEqual(
        read.rows.map(({ index }) => index),
        active,
      );
    } finally {
      await reference.detachSaes();
    }
    // The twin beside it computes without it.
    await isOf(reference, ids, 'blocks.2.hook_resid_post', await readColumn(page, 'twin', 4));
    await assertUsable(page);
  });

  test('closed, it leaves the address; a link opens it again and waits for the press', async () => {
    const link = new URL(page.url()).hash;
    await page.getByRole('button', { name: 'Close the comparison' }).click();
    await page.waitForFunction(() => !/[?&](vs|sae)=/.test(location.hash));
    site.requests.length = 0;
    const fresh = await openSite(browser, site, link);
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.getByRole('button', { name: /^Load .* MB\)$/ }).waitFor();
      assert.equal(await column(fresh.page, 'sae').getByRole('textbox').inputValue(), `${site.origin}sae/`);
      assert.deepEqual(
        site.requests.filter((request) => isTwins(request) || request.startsWith('/sae/')),
        [],
      );
    } finally {
      await fresh.close();
    }
  });

  test('on Steer, each model continues the prompt with an edit of its own', async () => {
    const settings = { seed: 5, temperature: 0, maxTokens: 6 };
    const prompt = 'The dog ran';
    await page.evaluate(
      (to) => (location.hash = to),
      `#/steer?model=${pair.name}&p=${encodeURIComponent(prompt)}&seed=5&temp=0&len=6&e=2.5_clamp_9&w=dog&vs=-`,
    );
    await page.locator('[data-column=own] [data-outcome=done]').waitFor();
    await load(page);
    await page.getByRole('search', { name: 'Coordinates of the twin' }).getByRole('searchbox').fill('1.7');
    await page.getByRole('search', { name: 'Coordinates of the twin' }).getByRole('button', { name: 'Add' }).click();
    await column(page, 'twin').getByRole('spinbutton', { name: 'Value' }).fill('12');
    await column(page, 'twin').getByRole('spinbutton', { name: 'Value' }).blur();
    await page.waitForFunction(() => /[?&]vs=1\.7_clamp_12_/.test(location.hash));
    const done = column(page, 'twin').locator('[data-outcome=done]');
    const written = async (model, edits) => {
      const ids = [...(await model.tokenizer.encode(prompt))];
      for await (const { id } of model.generate(ids, { ...settings, edits })) ids.push(id);
      return ids.join(',');
    };
    const { parseEdits, engineEdit } = await siteModule('edits.ts');
    const [edit] = parseEdits(hashOf(page).params.vs);
    const promptLength = (await reference.tokenizer.encode(prompt)).length;
    const steered = await written(reference, [engineEdit(edit, { promptLength, context: reference.config.n_ctx })]);
    await column(page, 'twin').locator(`[data-outcome=done][data-steered="${steered}"]`).waitFor();
    assert.equal(await done.getAttribute('data-base'), await written(reference, []));
    assert.match(await done.locator('[data-surprise]').innerText(), /^\d\.\d\d → \d+\.\d\d nats per token/);
    assert.match(await done.locator('[data-found]').innerText(), /^\d+ of \d+ → \d+ of \d+$/);
    // Stopped as soon as that can be pressed: it can be written again.
    const value = column(page, 'twin').getByRole('spinbutton', { name: 'Value' });
    const stopped = page.evaluate(
      () =>
        new Promise((pressed) => {
          const observer = new MutationObserver(() => {
            const stop = [...document.querySelectorAll('.compared button')].find((button) => button.textContent === 'Stop');
            if (!stop) return;
            observer.disconnect();
            stop.click();
            pressed();
          });
          observer.observe(document.body, { subtree: true, childList: true });
        }),
    );
    await value.fill('13');
    await value.blur();
    await stopped;
    // That is said of these settings alone: others ask for other texts.
    const unfinished = column(page, 'twin').getByText('This did not finish. Press Write again to complete it.');
    const others = column(page, 'twin').getByText('These results are for other settings. Press Write again to update them.');
    await unfinished.waitFor();
    const seed = page.getByRole('spinbutton', { name: 'Seed' });
    for (const [value, said, not] of [
      ['7', others, unfinished],
      ['5', unfinished, others],
    ]) {
      await seed.fill(value);
      await seed.blur();
      await said.waitFor();
      await not.waitFor({ state: 'detached' });
    }
    await page.getByRole('button', { name: 'Write again' }).click();
    await done.waitFor();
    await unfinished.waitFor({ state: 'detached' });
    // The page's own texts stayed.
    assert.equal(await page.locator('[data-divergence]').count(), 1);
    assert.equal(await page.locator('[data-column=own] [data-outcome=done]').count(), 1);
  });

  test('the page’s own texts that were stopped are said to be so, and those of other settings are not', async () => {
    const own = column(page, 'own');
    const unfinished = own.getByText('This did not finish. Press Run to complete it.');
    const others = own.getByText('These results are for other settings. Press Run to update them.');
    const tokens = page.getByRole('spinbutton', { name: 'New tokens' });
    await tokens.fill('100');
    await tokens.press('Tab');
    await others.waitFor();
    await holdText(page, 6);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('[data-side=base]').dataset.ids.split(',').length > 6);
    await page.getByRole('button', { name: 'Stop', exact: true }).first().click();
    await page.evaluate(() => goOn());
    await unfinished.waitFor();
    await others.waitFor({ state: 'detached' });
    await tokens.fill('6');
    await tokens.press('Tab');
    await others.waitFor();
    await unfinished.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await own.locator('[data-outcome=done]').waitFor();
    await others.waitFor({ state: 'detached' });
  });

  test('a feature of an autoencoder from a folder, beside them; other settings are marked', async () => {
    const panel = column(page, 'sae');
    if (shipped) await panel.getByText('One of your own').click();
    await panel.getByLabel('A folder on this device').setInputFiles(sae);
    await panel.getByRole('spinbutton', { name: 'Feature' }).waitFor({ timeout: LOAD_TIMEOUT });
    await panel.getByRole('spinbutton', { name: 'Feature' }).fill('3');
    await panel.getByRole('spinbutton', { name: 'Feature' }).blur();
    await page.waitForFunction(() => /[?&]vf=3_[\d.]+/.test(location.hash));
    const { vf } = hashOf(page).params;
    const value = Number(vf.split('_')[1]);
    // What cannot be set is said and put back.
    const [number, amount] = ['Feature', 'Value'].map((name) => panel.getByRole('spinbutton', { name }));
    await number.fill('999999');
    await number.blur();
    await panel
      .getByRole('alert')
      .getByText(/^The features have the numbers 0 to \d+\.$/)
      .waitFor();
    assert.equal(await number.inputValue(), '3');
    await amount.fill('');
    await amount.blur();
    assert.equal(await amount.inputValue(), String(value));
    assert.equal(hashOf(page).params.vf, vf);
    const { hook } = await reference.attachSae(sae, { errorTerm: true });
    try {
      const ids = [...(await reference.tokenizer.encode('The dog ran'))];
      const edits = [{ sae: hook, index: 3, action: 'clamp', value, positions: { from: ids.length - 1, to: reference.config.n_ctx } }];
      for await (const { id } of reference.generate(ids, { seed: 5, temperature: 0, maxTokens: 6, edits })) ids.push(id);
      await panel.locator(`[data-outcome=done][data-steered="${ids.join(',')}"]`).waitFor();
    } finally {
      await reference.detachSaes();
    }
    // What is left over is kept, so that its base text is the twin's.
    const base = (side) => column(page, side).locator('[data-outcome]').getAttribute('data-base');
    assert.equal(await base('sae'), await base('twin'));
    await assertUsable(page);
    await page.getByRole('spinbutton', { name: 'Seed' }).fill('6');
    await page.getByRole('spinbutton', { name: 'Seed' }).blur();
    for (const side of ['own', 'twin', 'sae']) await column(page, side).getByText('These results are for other settings').waitFor();
    await page.getByRole('button', { name: 'Write again' }).click();
    for (const side of ['twin', 'sae']) await column(page, side).locator('[data-outcome=done]').waitFor();
  });

  test('the autoencoder that comes with the twin is fetched at a press: three columns, its features with their tokens', {
    skip: !shipped && 'none comes with it',
  }, async () => {
    const folder = path.join(paths.models, twin.name, shipped.path);
    const isOfSae = (request) => decodeURIComponent(request).includes(`/${shipped.path}/`);
    const { encodeIds } = await siteModule('route.ts');
    const ids = [...(await reference.tokenizer.encode('The little dog was very happy'))];
    const seen = ids.slice(0, 4);
    const fresh = await openSite(browser, site, `#/explore?model=${pair.name}&vs=0&t=${encodeIds(ids)}&at=3`);
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await load(fresh.page);
      const panel = column(fresh.page, 'sae');
      const press = panel.getByRole('button', { name: /^Use this SAE \(\d\.\d MB\)$/ });
      await press.waitFor();
      assert.deepEqual(site.requests.filter(isOfSae), []);
      await press.click();
      await panel.locator('[data-quality]').waitFor({ timeout: LOAD_TIMEOUT });
      const { params } = hashOf(fresh.page);
      assert.deepEqual([params.sae, params.vs], [shipped.path, /\d+/.exec(shipped.hook)[0]]);
      const { hook } = await reference.attachSae(folder);
      try {
        const read = await readColumn(fresh.page, 'sae', seen.length);
        const last = await isOf(reference, seen, `${hook}.hook_sae_acts_post`, read);
        assert.equal(read.rows[0].value.toFixed(2), Math.max(...last).toFixed(2));
      } finally {
        await reference.detachSaes();
      }
      for (const side of ['own', 'twin', 'sae']) await column(fresh.page, side).locator('[data-read]').waitFor();
      const isMost = (labels) => labels.filter((label) => label.trim() !== '–').length > labels.length / 2;
      const labels = await eventually(labelsOf(fresh.page, 'sae'), isMost);
      assert.ok(isMost(labels), labels.join(' | '));
      await assertUsable(fresh.page);
      // Of a text that is gone nothing stays.
      await fresh.page.getByRole('textbox', { name: 'Text' }).fill('');
      await panel.locator('[data-quality]').waitFor({ state: 'detached' });
      await panel.locator('[data-read="4"]').waitFor({ state: 'detached' });
    } finally {
      await fresh.close();
    }
  });

  test('Cancel ends the attaching of it also while statistics of its model are on their way', {
    skip: !shipped && 'none comes with it',
  }, async () => {
    const fresh = await openSite(browser, site, `#/explore?model=${pair.name}&vs=0`);
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      const panel = column(fresh.page, 'sae');
      site.hold(new RegExp(`${twin.name}/(features/index\\.json|model\\.safetensors)`));
      await panel.getByRole('button', { name: /^Use this SAE/ }).click();
      await panel.getByRole('button', { name: 'Cancel' }).click();
      await panel.getByRole('button', { name: 'Cancel' }).waitFor({ state: 'detached' });
      site.release();
      await panel.getByRole('button', { name: /^Use this SAE/ }).waitFor();
      await fresh.page.waitForTimeout(500); // what would go on would have begun
      assert.equal(await panel.getByRole('button', { name: 'Cancel' }).count(), 0);
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('on Steer a feature of it is found by a token, and set to its largest value', {
    skip: !shipped && 'none comes with it',
  }, async () => {
    const folder = path.join(paths.models, twin.name, shipped.path);
    const link = `#/steer?model=${pair.name}&p=${encodeURIComponent('The dog ran')}&seed=5&temp=0&len=6&vs=-&sae=${encodeURIComponent(shipped.path)}`;
    const fresh = await openSite(browser, site, link);
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      const panel = column(fresh.page, 'sae');
      await panel.getByRole('button', { name: /^Use this SAE/ }).click();
      await panel.getByRole('searchbox').waitFor({ timeout: LOAD_TIMEOUT });
      await panel.getByRole('searchbox').fill('was');
      const first = panel.getByRole('list', { name: 'Features found' }).getByRole('button').first();
      const [index, label] = (await first.innerText()).split(/ (.*)/s);
      assert.ok(label.includes('was'), label);
      await first.click();
      await fresh.page.waitForFunction((feature) => new RegExp(`[?&]vf=${feature}_`).test(location.hash), index);
      const value = Number(hashOf(fresh.page).params.vf.split('_')[1]);
      const { features } = JSON.parse(fs.readFileSync(path.join(folder, 'features.json'), 'utf8'));
      assert.equal(value, features[Number(index)].max);
      const { hook } = await reference.attachSae(folder, { errorTerm: true });
      try {
        const ids = [...(await reference.tokenizer.encode('The dog ran'))];
        const positions = { from: ids.length - 1, to: reference.config.n_ctx };
        const edits = [{ sae: hook, index: Number(index), action: 'clamp', value, positions }];
        for await (const { id } of reference.generate(ids, { seed: 5, temperature: 0, maxTokens: 6, edits })) ids.push(id);
        await panel.locator(`[data-outcome=done][data-steered="${ids.join(',')}"]`).waitFor();
      } finally {
        await reference.detachSaes();
      }
      await assertUsable(fresh.page);
    } finally {
      await fresh.close();
    }
  });

  test('a model without a twin has no comparison', async (t) => {
    const single = offeredModels().find(
      ({ name, dense_twin }) => dense_twin === null && !offeredModels().some((other) => other.dense_twin === name),
    );
    if (!single) return t.skip('every model has a twin');
    for (const where of ['explore', 'steer']) {
      await page.evaluate((to) => (location.hash = to), `#/${where}?model=${single.name}`);
      await page.locator(`main[data-page=${where}]`).waitFor();
      await page.waitForFunction((name) => document.querySelector('select')?.value === name, single.name);
      assert.equal(await page.getByRole('heading', { name: /^Compare with/ }).count(), 0);
    }
  });
});
