// The page as it is built, on the model that it ships, on both backends.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch, openPage } from './harness.mjs';
import { accessibilityFindings, chips, fill, layersOf, loaded, promptBox, sidewaysScroll, tokensOf, write } from './page-kit.mjs';

/** Tokens of “The children went to the”, the start token included. */
const PROMPT_LENGTH = 6;

// An emulated GPU takes seconds for a token: few of them there.
for (const { backend, newTokens, stopAfter } of [
  { backend: 'cpu', newTokens: 24, stopAfter: 12 },
  { backend: 'webgpu', newTokens: 6, stopAfter: 1 },
]) {
  describe(`page on ${backend}`, { timeout: 900_000 }, () => {
    let browser;
    let server;
    let opened;
    let page;
    let weightsFetched = 0;

    before(async () => {
      server = await serve(
        { '/some/folder/': paths.site },
        {
          intercept: (request) => {
            if (request.url.endsWith('model.safetensors')) weightsFetched++;
            return false;
          },
        },
      );
      browser = await launch();
      opened = await openPage(browser, `${server.url}some/folder/?backend=${backend}`, {
        context: { viewport: { width: 1280, height: 900 } },
      });
      page = opened.page;
    });

    after(async () => {
      await opened?.close();
      await browser?.close();
      await server?.close();
    });

    test('loads, and shows the backend that was asked for', async () => {
      assert.equal(await loaded(page), backend);
    });

    test('writes a story, a chip a token, with the active neurons of each layer', async () => {
      await fill(page, { prompt: 'The children went to the', temperature: 0, maxTokens: newTokens });
      await write(page);
      const tokens = await tokensOf(page, 'base');
      assert.equal(tokens.length, PROMPT_LENGTH + newTokens);
      assert.match(tokens.join(''), /^<\|endoftext\|>The children went to the village, and the villagers were/);
      const layers = await layersOf(page);
      assert.deepEqual(
        layers.map(({ layer, active }) => [layer, active]),
        [0, 1, 2, 3, 4].map((layer) => [layer, 48]),
      );
      for (const { bars } of layers) {
        assert.equal(bars.length, 8);
        assert.ok(
          bars.every(({ value }, i) => i === 0 || value <= bars[i - 1].value),
          'strongest first',
        );
      }
    });

    test('another token, by keys, shows other neurons', async () => {
      const before = await layersOf(page);
      await page.locator('[data-side=base] [aria-selected=true]').focus();
      await page.keyboard.press('ArrowRight');
      assert.equal(await page.locator('[data-side=base] [aria-selected=true]').count(), 1);
      assert.equal(await chips(page, 'base').nth(PROMPT_LENGTH).getAttribute('aria-selected'), 'true');
      assert.notDeepEqual(await layersOf(page), before);
      await page.getByLabel('Show').selectOption({ label: 'all' });
      assert.ok((await layersOf(page)).every(({ bars }) => bars.length === 48));
    });

    test('a bar fills the steering row; a steered neuron changes the story', async () => {
      const bar = page.locator('[data-layer="1"] li button').first();
      const index = await bar.locator('[data-index]').textContent();
      await bar.click();
      assert.equal(await page.getByLabel('Layer', { exact: true }).inputValue(), '1');
      assert.equal(await page.getByLabel('Neuron', { exact: true }).inputValue(), index);

      await write(page, () => page.getByRole('button', { name: 'water' }).click());
      assert.equal(await page.getByLabel('Neuron', { exact: true }).inputValue(), '406');
      await page.getByText(/present maximum: the largest value in the base text and \d+ tokens of reference sentences, at/).waitFor();
      const base = await tokensOf(page, 'base');
      const steered = await tokensOf(page, 'steered');
      assert.notDeepEqual(steered, base);
      assert.equal(await page.locator('.diverged').count(), 2, 'the first difference is marked on both sides');
      const at = base.findIndex((token, i) => token !== steered[i]);
      assert.ok(at >= PROMPT_LENGTH);
      await page.getByText(`First difference after ${at - PROMPT_LENGTH} equal new`).waitFor();

      // Where the neuron is set, it stands among the active ones with the value it was set to.
      await chips(page, 'steered').nth(3).click();
      const set = Number(/= (\d+\.\d+)/.exec(await page.getByText(/^Set to/).innerText())[1]);
      const layer2 = (await layersOf(page))[2];
      assert.equal(layer2.bars.find((entry) => entry.index === 406)?.value, set);
    });

    test('has no serious accessibility findings, and fits a phone', async () => {
      assert.deepEqual(await accessibilityFindings(page), []);
      await page.setViewportSize({ width: 390, height: 844 });
      assert.equal(await sidewaysScroll(page), 0);
      await page.setViewportSize({ width: 1280, height: 900 });
    });

    test('Stop ends the writing and keeps what is there', async () => {
      await page.getByRole('button', { name: 'Clear' }).click();
      await fill(page, { temperature: 0.8, maxTokens: 240, seed: 3 });
      await write(page, async () => {
        await page.getByRole('button', { name: 'Generate' }).click();
        await chips(page, 'base')
          .nth(PROMPT_LENGTH + stopAfter - 1)
          .waitFor({ timeout: 120_000 });
        await page.getByRole('button', { name: 'Stop' }).click();
      });
      const count = await chips(page, 'base').count();
      assert.ok(count >= PROMPT_LENGTH + stopAfter && count < PROMPT_LENGTH + 240, `${count} tokens`);
      await page.locator('[data-side=base]').getByText('stopped').waitFor();
      assert.equal((await layersOf(page)).length, 5);
    });

    // What the page does with text does not depend on the backend.
    if (backend === 'cpu') {
      test('text is only ever text', async () => {
        await fill(page, { prompt: '<img src=x onerror="document.title=1"><b>Tom</b>', maxTokens: 1 });
        await write(page);
        assert.equal(await page.locator('main img, main b').count(), 0);
        assert.match((await tokensOf(page, 'base')).join(''), /<img src=x onerror="document\.title=1"><b>Tom<\/b>/);
      });
    }

    test('a reload keeps what was typed, and takes the weights from storage', async () => {
      await fill(page, { prompt: 'The little fish', temperature: 0.5, maxTokens: 4, seed: 11 });
      await page.getByRole('button', { name: 'flower' }).click();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.waitForFunction(() => location.hash.includes('841'));
      const fetched = weightsFetched;
      await page.reload();
      assert.equal(await loaded(page), backend);
      assert.equal(weightsFetched, fetched);
      assert.equal(await promptBox(page).inputValue(), 'The little fish');
      assert.equal(await page.getByLabel('Seed', { exact: true }).inputValue(), '11');
      assert.equal(await page.getByLabel('Temperature').inputValue(), '0.5');
      assert.equal(await page.getByLabel('Layer', { exact: true }).inputValue(), '1');
      assert.equal(await page.getByLabel('Neuron', { exact: true }).inputValue(), '841');
    });

    if (backend === 'cpu') {
      test('the same seed gives the same texts again', async () => {
        await write(page);
        const [base, steered] = [await tokensOf(page, 'base'), await tokensOf(page, 'steered')];
        await write(page);
        assert.deepEqual([await tokensOf(page, 'base'), await tokensOf(page, 'steered')], [base, steered]);
      });
    }
  });
}
