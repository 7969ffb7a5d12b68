// Five people's tasks from beginning to end, by what a person sees: names of buttons and fields, what is in view, what a friend or a program gets.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { inRoot } from '../../scripts/lib/paths.mjs';
import {
  CLIPBOARD,
  copiedLink,
  LOAD_TIMEOUT,
  STEP_TIMEOUT,
  WEIGHTS,
  assertCount,
  loaded,
  offeredModels,
  openSite,
  shippedModel,
  withSite,
  ranked,
} from './page-kit.mjs';

const model = shippedModel();
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Longest that a newcomer's whole visit takes (ms), on a machine that has much else to do: nobody waits for weights. */
const LONGEST = 5 * 60_000;

describe('five people’s tasks', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  let site;
  let browser;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-task-'));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  /** A person's own browser, at an address. */
  async function visit(hash, context, work) {
    const { page, close } = await openSite(browser, site, hash, { context, ignore: [/404/] });
    page.setDefaultTimeout(STEP_TIMEOUT);
    await work(page);
    await close();
  }

  const copied = (page) => page.evaluate(() => navigator.clipboard.readText());
  const goTo = (page, name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();

  for (const [where, context] of [
    ['on a laptop', { viewport: { width: 1280, height: 720 } }],
    ['on a phone', PHONE],
  ]) {
    test(`a newcomer flips the one switch in view, ${where}, before the model is there`, {
      skip: !model.start && 'no start.json',
    }, async () => {
      site.hold(WEIGHTS);
      try {
        const began = Date.now();
        await visit('', context, async (page) => {
          const knob = page.getByRole('switch');
          await knob.waitFor();
          await assertCount(knob, 1);
          const inView = async (what) => {
            const { y, height } = await what.boundingBox();
            return y >= 0 && y + Math.min(height, 40) <= context.viewport.height;
          };
          assert.ok(await inView(knob), 'the switch is not in the first screen');
          const story = page.locator('[data-outcome=after] [data-text]');
          const before = await story.textContent();
          await (context.hasTouch ? knob.tap() : knob.click());
          await page.waitForFunction((old) => document.querySelector('[data-outcome=after] [data-text]').textContent !== old, before);
          const end = Date.now() + STEP_TIMEOUT;
          while (!(await inView(story)) && Date.now() < end) await page.waitForTimeout(100); // it is scrolled into view
          assert.ok(await inView(story), 'what the switch changed is out of view');
          assert.ok(await inView(knob), 'the switch is out of view');
        });
        assert.ok(Date.now() - began < LONGEST);
      } finally {
        site.release();
      }
    });
  }

  test('a curious person finds a neuron for a word of their own, in each model, and what it does', async () => {
    await visit('', CLIPBOARD, async (page) => {
      const models = offeredModels().filter(({ kind, features }) => kind === 'topk' && features);
      for (const [name, word] of models.flatMap(({ name }) => ['dog', 'rain', 'happy'].map((word) => [name, word]))) {
        await page.getByRole('combobox', { name: 'Model' }).selectOption(name);
        await goTo(page, 'Browse');
        await page.getByRole('searchbox').fill(word);
        // Where none writes the word, the page leads to those that read it.
        const row = page.locator('[data-row]').first();
        const more = page.getByRole('button', { name: /^Show the \d/ }).first();
        await row.or(more).waitFor();
        if (await more.isVisible()) await more.click();
        await row.getByRole('link').click();
        await page.locator('main[data-page=neuron]').waitFor();
        // Its page shows the word where the neuron is active, or among what it writes.
        await page.locator('main').getByText(word).filter({ visible: true }).first().waitFor();
      }
      await page.getByRole('link', { name: 'Steer with this' }).first().click();
      await page.locator('[data-divergence]').waitFor({ timeout: LOAD_TIMEOUT });
    });
  });

  test('a friend sees the same text, token and neuron on Explore by a link', async () => {
    const seen = async (page) => {
      await page.locator('[data-state=live]').waitFor({ timeout: LOAD_TIMEOUT });
      // Names come with the statistics, which may come after the model.
      await page.locator('.side').getByText('Figures for researchers').waitFor();
      await ranked(page);
      return {
        text: await page.getByRole('textbox', { name: 'Text' }).inputValue(),
        lit: await page.locator('[data-lit]').innerText(),
        card: await page.locator('.side h2').first().innerText(),
        token: await page.getByRole('heading', { name: /^After / }).innerText(),
      };
    };
    let link;
    let mine;
    await visit('#/explore', CLIPBOARD, async (page) => {
      assert.equal(await loaded(page), 'cpu');
      await page.getByRole('textbox', { name: 'Text' }).fill('My sister has two cats and a red kite.');
      await page.waitForFunction(() => /[?&]t=/.test(location.hash));
      await page.locator('[data-state=live]').waitFor();
      await ranked(page);
      await page
        .getByRole('listbox', { name: /one option per token/ })
        .getByRole('option')
        .nth(5)
        .click();
      await page
        .getByRole('table', { name: /one row per token/ })
        .locator('.cell.current button[aria-pressed=false]')
        .first()
        .click();
      // What was chosen stays under the pointer: nothing above it has moved.
      mine = await seen(page);
      link = await copiedLink(page);
    });
    await visit(new URL(link).hash, PHONE, async (page) => assert.deepEqual(await seen(page), mine));
  });

  test('a developer takes a neuron home: the code that the page shows writes the page’s own text in Node', async () => {
    const { layers } = model.read('features/index.json');
    await visit(`#/steer?n=${layers[1]}.10&len=8`, CLIPBOARD, async (page) => {
      await page.locator('[data-divergence]').waitFor({ timeout: LOAD_TIMEOUT });
      await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
      await page.getByText('Export: code').click();
      await page.getByRole('button', { name: 'Copy JavaScript' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      const code = await copied(page);
      const file = path.join(folder, 'neuron.mjs');
      fs.mkdirSync(path.join(folder, 'node_modules'));
      fs.symlinkSync(inRoot('dist/npm'), path.join(folder, 'node_modules/topk-lm'), 'junction');
      fs.writeFileSync(file, code);
      const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: LOAD_TIMEOUT });
      const ids = (await page.locator('[data-side=steered]').getAttribute('data-ids')).split(',').map(Number);
      const { TopKLM } = await import('topk-lm');
      const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
      const promptLength = (await engine.tokenizer.encode(await page.getByRole('textbox', { name: 'Prompt' }).inputValue())).length;
      const [whole, prompt] = [await engine.tokenizer.decode(ids), await engine.tokenizer.decode(ids.slice(0, promptLength))];
      await engine.dispose();
      assert.equal(stdout, `${whole.slice(prompt.length)}\n`);
    });
  });

  test('a researcher sees the neurons of their own model, though it has no tokenizer, and steers one', async () => {
    const own = inRoot('tests/goldens/models/llama-gqa');
    await visit('', CLIPBOARD, async (page) => {
      await goTo(page, 'Your model');
      await page.getByLabel('A folder on this device').setInputFiles(own);
      await page.getByRole('heading', { name: /^What llama gqa includes/ }).waitFor();
      await goTo(page, 'Explore');
      await page.getByText('has no tokenizer.json, so it reads token ids below 128').waitFor({ timeout: LOAD_TIMEOUT });
      const box = page.getByRole('textbox', { name: 'Text' });
      await box.fill('0 5 17 9 40');
      await page.locator('[data-state=live]', { hasText: '5 tokens' }).waitFor();
      const button = page
        .getByRole('table', { name: /one row per token/ })
        .locator('.cell.current button')
        .first();
      const [, layer, index, value] = /Layer (\d+) neuron (\d+), value (−?[\d.]+)/.exec(await button.getAttribute('title'));
      const { TopKLM } = await import('topk-lm');
      const engine = await TopKLM.load(own, { backend: 'cpu' });
      const hook = `blocks.${layer}.hook_topk_out`;
      const { hooks } = await engine.run([0, 5, 17, 9, 40], { hooks: [hook] });
      const { rowStart, indices, values } = hooks[hook];
      await engine.dispose();
      const at = indices.indexOf(Number(index), rowStart[4]);
      assert.equal(value.replace('−', '-'), values[at].toFixed(2));
      await button.click();
      await page.getByText(`Highlighted: layer ${layer} neuron ${index}`).waitFor();
      // On Steer, one is named by its number; every result of the page works with ids.
      await goTo(page, 'Steer');
      await page.getByRole('textbox', { name: 'Prompt' }).fill('0 5 17');
      await page.getByRole('spinbutton', { name: 'New tokens' }).fill('4');
      await page.getByRole('searchbox').fill(`${layer}.${index}`);
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      await page.locator('[data-divergence]').waitFor();
      await page.getByRole('button', { name: /^Sweep/ }).click();
      await page.getByRole('region', { name: 'Strength sweep' }).getByText('⟨').first().waitFor();
      await page.getByText('Export: code').click();
      await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
      await page.getByRole('region', { name: 'JavaScript' }).getByText('model.generate([0,5,17],').waitFor();
      assert.equal(await page.getByRole('alert').count(), 0);
    });
  });
});
