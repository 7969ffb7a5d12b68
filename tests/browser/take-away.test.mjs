// Exports: every chart as SVG and PNG next to its numbers, a text's activations as files, its run as code.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { CLIPBOARD, saved, shippedModel, withSite } from './page-kit.mjs';

describe('exports', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let page;
  withSite({ load: true, context: CLIPBOARD }, (on) => {
    ({ page } = on);
  });

  const download = async (act) => {
    const [file] = await Promise.all([page.waitForEvent('download'), act()]);
    return { name: file.suggestedFilename(), bytes: fs.readFileSync(await file.path()) };
  };

  for (const [name, hash, least] of [
    ['Neuron', `#/m/${model.name}/1/100`, 2],
    ['Browse', '#/browse', 1],
    ['Trace', '#/trace', 3],
    ['About', '#/about', 2],
  ]) {
    test(`${name}: every chart has its numbers as a table, and is saved as SVG and PNG`, {
      skip: !model.features && 'the shipped model has no statistics',
    }, async () => {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.locator(`main[data-page=${name.toLowerCase()}]`).waitFor(); // the page before stands until then
      const figures = page.locator('main figure');
      await figures.nth(least - 1).waitFor();
      await page.waitForLoadState('networkidle');
      // At once: a page may still be adding charts.
      const others = await page.evaluate(() => [...document.querySelectorAll('main svg')].filter((svg) => !svg.closest('figure')).length);
      assert.equal(others, 0, 'a drawing that is no chart');
      for (let at = 0; at < (await figures.count()); at++) {
        const figure = figures.nth(at);
        const title = await figure.locator('figcaption').innerText();
        assert.ok(((await figure.locator('svg').getAttribute('aria-label')) ?? '') !== '', title);
        await figure.getByText('Numbers', { exact: true }).click();
        assert.ok((await figure.locator('tbody tr').count()) > 0, `${title}: no numbers`);
        const svg = await download(() => figure.getByRole('button', { name: 'SVG' }).click());
        assert.match(svg.bytes.toString(), /^<svg [^>]*width="\d/, title);
        assert.doesNotMatch(svg.bytes.toString(), /var\(--|class=/, `${title} needs the page's style sheet`);
        const png = await download(() => figure.getByRole('button', { name: 'PNG' }).click());
        assert.deepEqual([...png.bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47], title);
        assert.ok(png.bytes.length > 1000, title);
      }
    });
  }

  test('Explore: the activations of a text as CSV and safetensors, and the run as code', async () => {
    await page.evaluate(() => (location.hash = '#/explore'));
    await page.locator('[data-state=live]').waitFor();
    const [{ ids }] = model.read('examples/index.json').texts;
    const csv = await saved(page, () => page.getByRole('button', { name: 'CSV' }).click());
    const lines = csv.text.trim().split('\r\n');
    assert.equal(lines[0], 'position,id,token,layer,index,value');
    assert.deepEqual(
      [...new Set(lines.slice(1).map((line) => line.split(',')[0]))].map(Number).sort((a, b) => a - b),
      ids.map((_, at) => at),
    );
    const tensors = await download(() => page.getByRole('button', { name: 'safetensors' }).click());
    const length = Number(tensors.bytes.readBigUInt64LE(0));
    const header = JSON.parse(tensors.bytes.subarray(8, 8 + length).toString());
    const { hidden_size: width } = model.read('config.json');
    assert.deepEqual(header['blocks.0.hook_topk_out'].shape, [ids.length, width]);
    for (const [button, start] of [
      ['Copy as JavaScript', "import { TopKLM } from 'topk-lm';"],
      ['Copy as command', 'topk-lm run --model '],
    ]) {
      // The button that was pressed says so, not the one that was pressed before.
      const pressed = await page.getByRole('button', { name: button }).elementHandle();
      await pressed.click();
      await page.waitForFunction((one) => one.textContent === 'Copied', pressed);
      const code = await page.evaluate(() => navigator.clipboard.readText());
      assert.ok(code.startsWith(start), code);
      assert.ok(code.includes(ids.join(button === 'Copy as command' ? ',' : ', ')));
    }
  });
});
