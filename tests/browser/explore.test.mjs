// Explore, as a person meets it: a stored text before the model is there, then the model's own reading, typing, why.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  STEP_TIMEOUT,
  WEIGHTS,
  addressHas,
  assertCount,
  assertUsable,
  chips,
  drawn,
  eventually,
  hashOf,
  loaded,
  openSite,
  shippedModel,
  waitState,
  withSite,
} from './page-kit.mjs';

const lit = (page) => chips(page).evaluateAll((all) => all.flatMap((chip, at) => (/ value /.test(chip.title) ? [at] : [])));
/** What the tokens say of the chosen neuron: its values, where it is active. */
const said = (page) => chips(page).evaluateAll((all) => all.map((chip) => chip.title).filter((title) => / value /.test(title)));
/** Before the vocabulary is there, tokens are shown by their ids: `#17`. */
const tokensRead = (page) =>
  page.waitForFunction(() => /^[^#]/.test(document.querySelector('[role=listbox] [role=option]')?.textContent ?? '#'));
const state = (page) => page.locator('[data-state]').getAttribute('data-state');

describe('explore', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let site;
  let browser;
  let page;
  withSite({ hold: WEIGHTS }, (on) => {
    ({ site, browser, page } = on);
  });

  test('before the model: a stored text with highlighted tokens, the table, a neuron’s card, and the download', async () => {
    await waitState(page, 'stored');
    const [{ ids, neuron, at }] = model.read('examples/index.json').texts;
    await assertCount(chips(page), ids.length);
    await tokensRead(page);
    const [layer, index] = neuron;
    const rows = model.read('examples/0.json').layers.find((entry) => entry.layer === layer);
    const expected = ids.flatMap((_, at) => (rows.indices.slice(rows.row_start[at], rows.row_start[at + 1]).includes(index) ? [at] : []));
    assert.deepEqual(await lit(page), expected);
    assert.ok(expected.length > 0);
    // Where the gray tokens of the prompt end is said in words too.
    const prompts = await chips(page).evaluateAll((all) => all.filter((chip) => chip.matches('.prompt')).length);
    assert.ok(prompts > 0);
    await page
      .locator('[data-prompt]')
      .getByText(`position ${prompts - 1}.`)
      .waitFor();
    // It opens at a word that the neuron reads, not at the end of a sentence.
    const chosen = chips(page).and(page.locator('[aria-selected=true]'));
    assert.equal(await chosen.innerText(), await chips(page).nth(at).innerText());
    assert.match(await chosen.innerText(), /\p{L}{3}/u);
    assert.ok(expected.includes(at));
    await page.locator(`[data-lit="${layer}.${index}"]`).waitFor();
    const card = page.locator(`[data-neuron="${layer}.${index}"]`);
    await card
      .getByText(model.features ? 'Figures for researchers' : 'topk-lm analyze')
      .first()
      .waitFor();
    assert.ok(
      (await page
        .getByRole('table', { name: /one row per token/ })
        .getByRole('button', { pressed: false })
        .count()) > 10,
    );
    await page.getByRole('button', { name: 'Cancel' }).waitFor();
    await page.getByText(new RegExp(`of ${(model.bytes / 1e6).toFixed(1)} MB`)).waitFor();
  });

  test('a click pins a neuron of the table: it is highlighted in the text and kept in the address', async () => {
    const grid = page.getByRole('table', { name: /one row per token/ });
    const neuron = grid.locator('.cell.current button[aria-pressed=false]').first(); // in sight: rows elsewhere are made anew as the table scrolls
    const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await neuron.getAttribute('title'));
    await neuron.click();
    // Under the pointer it is highlighted already; chosen, it is in the address too.
    await page.waitForFunction((n) => new URLSearchParams(location.hash.split('?')[1]).get('n') === n, `${layer}.${index}`);
    await page.locator(`[data-lit="${layer}.${index}"]`).waitFor();
    await page.getByRole('heading', { name: `Layer ${layer} neuron ${index}` }).waitFor();
    assert.ok((await lit(page)).length > 0);
    await page.reload();
    await page.locator(`[data-lit="${layer}.${index}"]`).waitFor();
    assert.ok((await page.getByRole('link', { name: 'Steer with this' }).getAttribute('href')).includes(`n=${layer}.${index}`));
  });

  test('a text typed before the model is there is not shown as read', async () => {
    await page.getByRole('textbox', { name: 'Text' }).fill('The cow said hello.');
    await page.getByText('This is still the previous text. Yours will be read once the model has loaded.').first().waitFor();
    await page.getByRole('button', { name: model.read('examples/index.json').texts[0].title }).click();
    await waitState(page, 'stored');
    await page.getByText('Stored with the site').first().waitFor();
  });

  test('once the model is there it reads the same text, and finds the same neurons', async () => {
    await waitState(page, 'stored');
    const stored = await lit(page);
    // Scrolled away from the position, the table stays there: the model's own values are of the same text.
    const table = page.locator('.scroller').filter({ has: page.getByRole('table', { name: /one row per token/ }) });
    const place = () => table.evaluate((element) => element.scrollTop);
    await table.evaluate((element) => {
      const end = element.scrollHeight - element.clientHeight;
      element.scrollTo(0, element.scrollTop > end / 2 ? 0 : end);
    });
    const scrolled = await place();
    site.release();
    assert.equal(await loaded(page), 'cpu');
    await waitState(page, 'live');
    assert.deepEqual(await lit(page), stored);
    await drawn(page);
    assert.equal(await place(), scrolled);
  });

  test('what the pointer rested on is highlighted no more once another token, or another part of the table, is shown', async () => {
    await page.mouse.move(5, 5);
    const chosen = model.read('examples/index.json').texts[0].neuron.join('.');
    const table = page.locator('.scroller').filter({ has: page.getByRole('table', { name: /one row per token/ }) });
    const cells = table.locator('.cell .neuron[aria-pressed=false]');
    const isLit = (neuron) => page.locator(`[data-lit="${neuron}"]`).waitFor();
    const nameOf = async (cell) => {
      const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await cell.getAttribute('title'));
      return `${layer}.${index}`;
    };
    /** No browser tells that the pointer left what was taken from under it. */
    const restOn = async (cell) => {
      await drawn(page); // a table that is still to say that it scrolled has other rows then
      await cell.dispatchEvent('pointerenter');
      await isLit(await nameOf(cell));
    };
    const last = (await chips(page).count()) - 1;
    for (const act of [
      () => table.evaluate((element) => element.scrollBy(0, element.scrollTop > 80 ? -80 : 80)),
      () => chips(page).nth(last).click(),
      () => chips(page).nth(1).click(),
    ]) {
      await isLit(chosen);
      await restOn(cells.first());
      await act();
      await isLit(chosen);
    }
    // Nor does it stand for the one that the keyboard chooses.
    await restOn(cells.first());
    const other = cells.nth(1);
    const name = await nameOf(other);
    await other.focus();
    await page.keyboard.press('Enter');
    await isLit(name);
    await page.evaluate(() => (location.hash = '#/explore'));
    await isLit(chosen);
  });

  test('typing is read as it goes, as text and nothing else; the link shows the same tokens before any model', async () => {
    const text = 'The <b>dog</b> ran to the <img src=x onerror="document.title=1">';
    await page.getByRole('textbox', { name: 'Text' }).fill(text);
    await page.waitForFunction(() => new URLSearchParams(location.hash.split('?')[1]).has('t'), null, { timeout: STEP_TIMEOUT });
    await page.waitForFunction(
      (wanted) =>
        [...document.querySelectorAll('[role=option]')]
          .map((chip) => chip.textContent)
          .join('')
          .replaceAll('␣', ' ')
          .endsWith(wanted),
      text,
    );
    await waitState(page, 'live');
    assert.equal(await page.locator('main b, main img').count(), 0);
    const tokens = await chips(page).allTextContents();
    site.hold(/model\.safetensors$/);
    const other = await openSite(browser, site, new URL(page.url()).hash);
    await chips(other.page).first().waitFor({ timeout: STEP_TIMEOUT });
    await other.page.waitForFunction(() => document.querySelector('#text').value !== '');
    await tokensRead(other.page);
    assert.deepEqual(await chips(other.page).allTextContents(), tokens);
    assert.equal(await other.page.getByRole('textbox', { name: 'Text' }).inputValue(), text);
    assert.equal(await state(other.page), 'none');
    await other.close();
    site.release();
  });

  test('what comes next, and why: every active neuron by its exact effect', async () => {
    await page.getByRole('button', { name: 'The tall tree' }).click();
    await waitState(page, 'live');
    await page.getByText('What comes next').click();
    const next = page.getByRole('table', { name: 'Most likely next tokens' });
    await next.waitFor();
    await assertCount(next.locator('tbody tr'), 12);
    await next.getByRole('button', { name: /^Why/ }).first().click();
    await page.locator('[data-effect]').first().waitFor();
    const effects = await page.locator('[data-effect]').evaluateAll((rows) => rows.map((row) => Math.abs(Number(row.dataset.effect))));
    assert.equal(effects.length, 20);
    assert.deepEqual(
      effects,
      effects.toSorted((a, b) => b - a),
    );
    assert.ok(effects[0] > 0);
    const sums = await page.locator('[data-sum]').evaluateAll((rows) => rows.map((row) => Math.abs(Number(row.dataset.sum))));
    assert.ok(sums.length > 0 && sums.every((sum, i) => i === 0 || sum <= sums[i - 1]), String(sums));
    const { params } = hashOf(page);
    assert.deepEqual(params.open.split('.').toSorted(), ['next', 'why']);
    assert.match(params.why, /^\d+$/);
    await page.locator('[data-effect] a').first().waitFor();
  });

  test('why can be cancelled, and asked again', async () => {
    const ask = page.locator('.ask');
    const select = ask.getByRole('combobox', { name: 'Next token' });
    const [first, second] = await select.locator('option').evaluateAll((all) => all.filter((o) => !o.selected).map((o) => o.value));
    // Pressed as soon as it appears, before anything else happens on the page: the answer takes a fraction of a second.
    await select.evaluate((element, chosen) => {
      const pressed = new Promise((done) => {
        const observer = new MutationObserver(() => {
          const cancel = [...document.querySelectorAll('.ask button')].find((button) => button.textContent === 'Cancel');
          if (!cancel) return;
          observer.disconnect();
          cancel.click();
          done();
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
      });
      element.value = chosen;
      element.dispatchEvent(new Event('change', { bubbles: true }));
      return pressed;
    }, first);
    await ask.getByText('Canceled.').waitFor();
    assert.equal(await ask.getByRole('progressbar').count(), 0);
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    const effect = () => page.locator('[data-effect]').first().getAttribute('data-effect');
    const isNew = (before) => page.waitForFunction((old) => document.querySelector('[data-effect]')?.dataset.effect !== old, before);
    // The same token again by keyboard, which stays where it was pressed; then another one.
    const startAgain = async () => {
      await select.focus();
      await page.keyboard.press('Tab');
      assert.equal(await focused(), 'Start again');
      await page.keyboard.press('Enter');
    };
    for (const act of [startAgain, () => select.selectOption(second)]) {
      const before = await effect();
      await act();
      await isNew(before);
      if (act === startAgain) await page.waitForFunction(() => document.activeElement?.matches('.ask select'));
    }
    await ask.getByText('Canceled.').waitFor({ state: 'detached' });
    assert.equal(hashOf(page).params.why, second);
  });

  test('logit lens and attention open when asked for', async () => {
    await page.getByText('Logit lens').click();
    const layers = model.read('config.json').num_hidden_layers;
    await page.getByRole('table', { name: /if each layer were the last/ }).waitFor();
    assert.equal(
      await page
        .getByRole('table', { name: /if each layer were the last/ })
        .locator('tr')
        .count(),
      layers,
    );
    await page.getByText('Attention', { exact: true }).click();
    const { num_attention_heads: heads } = model.read('config.json');
    await page.getByText('Head 0, all queries').waitFor();
    await assertCount(page.locator('.maps canvas'), heads);
    await page.getByText(/^Head 0 largest weight [\d.]+ %$/).waitFor();
    assert.match(await page.locator('[data-strongest]').first().innerText(), /^Most to .+ at position \d+, [\d.]+ %(; .+){0,2}\.$/);
    await page.waitForFunction(() => {
      const canvas = document.querySelector('.maps canvas');
      return canvas
        .getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height)
        .data.some((value) => value > 0);
    });
    const map = page.getByRole('table', { name: /by layer and position/ });
    await assertCount(map.locator('tbody tr'), layers);
    // How probable each is, in numbers too.
    for (const cell of await map.locator('tbody tr').first().locator('td').allInnerTexts()) assert.match(cell, /[\d.]+ %$/);
    assert.equal(
      await map.locator('tbody tr').first().locator('td').count(),
      Math.min(24, model.read('examples/index.json').texts.find(({ title }) => title === 'The tall tree').at + 1),
    );
  });

  test('another training step: loaded while the old weights are in use, then in the address; and back', async () => {
    assert.ok(model.steps.length > 0);
    await page.mouse.move(5, 5); // what is under the pointer would be highlighted instead
    const { step } = model.steps[0];
    const before = await said(page);
    const slider = page.getByRole('slider', { name: 'Training' });
    await slider.focus();
    await page.keyboard.press('Home');
    await page.getByText(`The weights of training step ${step.toLocaleString('en')} are ready.`).waitFor({ state: 'attached' });
    assert.equal(hashOf(page).params.ckpt, String(step));
    // The card's statistics are still those of the final weights, and it says so; names in the picture and the table are those of this step.
    await page
      .getByText(`Labels and statistics are those of the final weights, not of step ${step.toLocaleString('en')}.`)
      .first()
      .waitFor();
    await page.getByText(`At step ${step.toLocaleString('en')}, names are the top tokens of that step`).waitFor();
    await page.waitForFunction(() => document.querySelector('button.name[title*=" ("]'), null, { timeout: STEP_TIMEOUT });
    const title = await page.locator('button.name[title*=" ("]').first().getAttribute('title');
    const [, layer, index, named] = /Layer (\d+) neuron (\d+) \((.*)\)/s.exec(title);
    const { steps, shards } = model.read('features/index.json');
    const { neurons } = model.read(`features/steps/layer${layer}/${index - (index % shards.per_file)}.json`);
    const [[top]] = neurons.find((neuron) => neuron.index === Number(index)).tokens[steps.indexOf(step)];
    const { vocab } = model.read('tokenizer.json').model;
    const token = Object.keys(vocab).find((text) => vocab[text] === top);
    if (/^Ġ?[a-z]+$/i.test(token)) assert.ok(named.startsWith(token.replace('Ġ', '')), `${title}: ${token}`);
    await page.waitForFunction(
      (old) =>
        JSON.stringify(
          [...document.querySelectorAll('[role=option]')].map((chip) => chip.title).filter((title) => / value /.test(title)),
        ) !== old,
      JSON.stringify(before),
    );
    await slider.focus();
    await page.keyboard.press('End');
    await page.getByText('The model is ready.').waitFor({ state: 'attached' });
    assert.equal(hashOf(page).params.ckpt, undefined);
    await page.waitForFunction(() => !document.body.textContent.includes('Labels and statistics are those of the final weights'));
    await page.waitForFunction(
      (old) =>
        JSON.stringify(
          [...document.querySelectorAll('[role=option]')].map((chip) => chip.title).filter((title) => / value /.test(title)),
        ) === old,
      JSON.stringify(before),
    );
  });

  test('a definition is shown whole, whatever clips its card', async () => {
    await page.locator('.side').getByText('Figures for researchers').click();
    const terms = page.locator('.side .stats').getByRole('button');
    assert.ok((await terms.count()) >= 4);
    for (const term of await terms.all()) {
      await term.hover();
      const tip = page.locator('[role=tooltip]:popover-open');
      await tip.waitFor();
      const hidden = await tip.evaluate((element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        const corners = [left + 4, right - 4].flatMap((x) => [top + 4, bottom - 4].map((y) => document.elementFromPoint(x, y)));
        return corners.filter((found) => found !== element).length;
      });
      assert.equal(hidden, 0, await term.innerText());
    }
    const tip = page.locator('[role=tooltip]:popover-open');
    // It stays while the pointer is on it, and goes by Escape wherever the keyboard is.
    await tip.hover();
    await page.waitForTimeout(200);
    assert.equal(await tip.count(), 1);
    await page.keyboard.press('Escape');
    await tip.waitFor({ state: 'detached' });
    await terms.last().hover();
    await tip.waitFor();
    await page.mouse.move(5, 5);
    await tip.waitFor({ state: 'detached' });
  });

  test('what the device is stays inside a phone’s screen, and closes on the next tap', async () => {
    const before = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 844 });
    try {
      const sheet = page.locator('.sheet:popover-open');
      await page.locator('[data-backend] > button').click();
      const { x, width } = await sheet.boundingBox();
      assert.ok(x >= 0 && x + width <= 390, `from ${x} to ${x + width} px`);
      await page.getByRole('heading', { name: 'Text' }).click();
      await sheet.waitFor({ state: 'detached' });
    } finally {
      await page.setViewportSize(before);
    }
  });

  test('weights as they are stored or as f16: a choice that the address keeps', async () => {
    const own = await openSite(browser, site, '#/steer');
    try {
      await loaded(own.page);
      // Too long for a link: the history keeps it.
      const text = 'A zebra and a quokka walked. '.repeat(100);
      const prompt = own.page.getByRole('textbox', { name: 'Prompt' });
      await prompt.fill(text);
      await own.page.getByRole('button', { name: 'Save as file' }).waitFor();
      const choose = async (name) => {
        await own.page.locator('[data-backend] > button').click();
        await Promise.all([own.page.waitForEvent('load'), own.page.getByRole('button', { name }).click()]);
        await loaded(own.page);
        assert.equal(await prompt.inputValue(), text);
      };
      await choose('Keep them as f16');
      assert.match(own.page.url(), /[?&]dtype=f16.*#\/steer/);
      await choose('Keep them as they are stored');
      assert.equal(new URL(own.page.url()).searchParams.has('dtype'), false);
    } finally {
      await own.close();
    }
  });

  test('a text longer than the model’s context is cut there, and the page says so', async () => {
    const { max_position_embeddings: most } = model.read('config.json');
    await page.getByRole('textbox', { name: 'Text' }).fill('The dog ran to the big tree. '.repeat(Math.ceil(most / 4)));
    const cut = page.getByText(
      new RegExp(`The text has [\\d,]+ tokens, but this model takes at most ${most} tokens: the rest is left out\\.`),
    );
    await cut.waitFor();
    await page.waitForFunction((length) => document.querySelectorAll('[role=listbox] [role=option]').length === length, most);
    await waitState(page, 'live');
    assert.equal(await page.getByRole('alert').count(), 0);
    await page.getByRole('textbox', { name: 'Text' }).fill('The dog ran');
    await cut.waitFor({ state: 'detached' });
    await waitState(page, 'live');
  });

  test('the start is called so, and bytes of a character are explained', async () => {
    const note = page.locator('[data-bytes]');
    assert.equal(await note.count(), 0);
    await page.getByRole('textbox', { name: 'Text' }).fill('A 🐶');
    await note.waitFor();
    await chips(page).first().click();
    await page.getByRole('heading', { name: 'The network at ⟨start⟩' }).waitFor();
    await page.getByRole('heading', { name: 'After ⟨start⟩' }).waitFor();
    assert.equal(await page.getByText('<|endoftext|>').count(), 0);
    await page.getByRole('textbox', { name: 'Text' }).fill('The dog ran');
    await note.waitFor({ state: 'detached' });
    await waitState(page, 'live');
  });

  test('the step back from a text in the address brings back what was typed, in the box too', async () => {
    const box = page.getByRole('textbox', { name: 'Text' });
    const holds = async (text) =>
      assert.equal(
        await eventually(
          () => box.inputValue(),
          (value) => value === text,
        ),
        text,
      );
    const { t } = hashOf(page).params;
    await box.fill('The cat sat');
    await eventually(
      () => hashOf(page).params.t,
      (now) => now !== t,
    );
    await page.evaluate(() => (location.hash = '#/explore?p=Second+one'));
    await holds('Second one');
    await page.goBack();
    await holds('The cat sat');
    await waitState(page, 'live');
  });

  test('the step back to another model’s text, from a token that was chosen', async () => {
    site.release();
    const own = await openSite(browser, site, '#/explore?p=The+cat+sat+on+the+mat');
    await loaded(own.page);
    const models = own.page.locator('select').first();
    const [first, dense] = await models.locator('option').evaluateAll((all) => all.map(({ value }) => value));
    await models.selectOption(dense);
    await own.page.getByText('every coordinate has a value').waitFor({ timeout: STEP_TIMEOUT });
    // Its table goes while it scrolls to the row of the token.
    await own.page.locator('[data-row="2"] .token button').click();
    await addressHas(own.page, 'at', '2');
    await own.page.evaluate(() => history.back());
    await own.page.waitForFunction((name) => document.querySelector('select').value === name, first);
    await waitState(own.page, 'live');
    await own.close();
  });

  test('accessible, and fits a phone', () => assertUsable(page));
});
