// The site when something goes wrong: no WebGPU, a cancelled or broken download, a lost device, a wrong folder, another site's model.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { launch } from './harness.mjs';
import { accessibilityFindings, LOAD_TIMEOUT, loaded, openSite, serveSite, shippedModel } from './page-kit.mjs';

const alertOf = (page) => page.getByRole('alert');
const textBox = (page) => page.getByRole('textbox', { name: 'Text' });

describe('site in trouble', { timeout: 900_000 }, () => {
  const model = shippedModel();
  let plain;
  before(async () => {
    plain = await launch({ webgpu: false });
  });
  after(() => plain?.close());

  /** Runs `work` on the site with a server of its own. */
  async function withServer(options, work) {
    const site = await serveSite(options);
    try {
      await work(site);
    } finally {
      site.release();
      await site.close();
    }
  }

  test('without WebGPU it runs on the CPU by itself, and offers it where WebGPU was asked for', () =>
    withServer({}, async (site) => {
      const { page, close } = await openSite(plain, site, '#/explore?x=2', { search: '?backend=webgpu' });
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('button', { name: 'Use the CPU' }).click();
      await page.waitForURL(/backend=cpu#\/explore\?x=2/);
      assert.equal(await loaded(page), 'cpu');
      await close();
    }));

  test('an emulated GPU is passed over for the CPU, which is then named', () =>
    withServer({}, async (site) => {
      const browser = await launch();
      try {
        const { page, close } = await openSite(browser, site, '#/explore', { search: '' });
        assert.equal(await loaded(page), 'cpu');
        await page.getByText('computed here on the CPU').waitFor({ timeout: LOAD_TIMEOUT });
        await close();
      } finally {
        await browser.close();
      }
    }));

  test('the size is shown, a download can be cancelled and started again', () =>
    withServer({}, async (site) => {
      site.hold(/\/model\.safetensors$/);
      const { page, close } = await openSite(plain, site);
      const size = (model.bytes / 1e6).toFixed(1);
      await page.getByText(`MB of ${size} MB`).waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText(`is not loaded (${size} MB`).waitFor();
      site.release();
      await page.getByRole('button', { name: 'Load the model' }).click();
      assert.equal(await loaded(page), 'cpu');
      await close();
    }));

  test('a damaged file is named, and loading again takes the right one', () => {
    let damaged = true;
    const intercept = (request, response) => {
      if (!damaged || !request.url.endsWith(`${model.name}/config.json`)) return false;
      const bytes = fs.readFileSync(path.join(model.folder, 'config.json'));
      bytes[10] ^= 1;
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site);
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await alertOf(page).innerText(), /config\.json/);
      assert.deepEqual(await accessibilityFindings(page), []);
      damaged = false;
      await page.getByRole('button', { name: 'Load again' }).click();
      await alertOf(page).waitFor({ state: 'detached', timeout: LOAD_TIMEOUT });
      assert.equal(await loaded(page), 'cpu');
      await close();
    });
  });

  test('without the list of models the site says so, until it is there', () => {
    let broken = true;
    const intercept = (request, response) => {
      if (!broken || !request.url.endsWith('/models/index.json')) return false;
      response.writeHead(503).end();
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site);
      await alertOf(page)
        .getByText('The list of models could not be read: the server responded with 503.')
        .waitFor({ timeout: LOAD_TIMEOUT });
      broken = false;
      await alertOf(page).getByRole('button').click();
      await alertOf(page).waitFor({ state: 'detached' });
      assert.equal(await loaded(page), 'cpu');
      await close();
    });
  });

  test('a page whose own file cannot be had says so, and the model goes on', () => {
    let broken = true;
    const intercept = (request, response) => {
      if (!broken || !/\/(switches|challenges)\.json$/.test(request.url)) return false;
      response.writeHead(503).end();
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site);
      assert.equal(await loaded(page), 'cpu');
      for (const [name, said] of [
        ['Gallery', 'What this model’s neurons do could not be read.'],
        ['Challenges', 'The challenges of this model could not be read.'],
      ]) {
        await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
        await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
        await page.getByText(said).waitFor({ timeout: LOAD_TIMEOUT });
        assert.equal(await page.locator('[data-backend=cpu]').count(), 1, 'the model is gone');
        await page.getByRole('button', { name: 'Close' }).click();
      }
      broken = false;
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Gallery' }).click();
      await page.locator('[data-found]:not([data-found="0"])').waitFor();
      await close();
    });
  });

  test('a folder without a model is a sentence; without statistics the page says how to make them', () =>
    withServer({}, async (site) => {
      const folder = `${site.url}nowhere/`;
      const { page, close } = await openSite(plain, site, `#/browse?model=${encodeURIComponent(folder)}`, { ignore: [/404/] });
      await page.getByText('topk-lm analyze').waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('button', { name: 'Load the model' }).click();
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await alertOf(page).innerText(), /nowhere\//);
      await close();
    }));

  test('a link to a model of another site asks first, with its host', () =>
    withServer({}, async (site) => {
      const { page, close } = await openSite(plain, site, `#/explore?model=${encodeURIComponent('https://models.invalid/some/')}`);
      const asked = [];
      page.on('request', (request) => asked.push(request.url()));
      await page.getByRole('button', { name: 'Download from models.invalid' }).waitFor({ timeout: LOAD_TIMEOUT });
      await page.waitForLoadState('networkidle');
      assert.deepEqual(
        asked.filter((url) => url.includes('models.invalid')),
        [],
      );
      await page.getByRole('button', { name: 'Cancel' }).click();
      assert.equal(await loaded(page), 'cpu');
      assert.doesNotMatch(page.url(), /model=/);
      await close();
    }));

  test('on WebGPU; a lost device: Restart, and nothing typed is lost', () => {
    // The device lives in the worker, so the worker's script is served with a hand on it.
    const hand = `{
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        return (self.device = await request.apply(this, args));
      };
    }\n`;
    const intercept = (request, response) => {
      if (!/\/assets\/worker-[^/]*\.js$/.test(request.url)) return false;
      response.setHeader('content-type', 'text/javascript');
      response.end(hand + fs.readFileSync(path.join(paths.site, 'assets', path.basename(request.url)), 'utf8'));
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const browser = await launch();
      try {
        const { page, close } = await openSite(browser, site, '#/explore', { search: '?backend=webgpu' });
        page.setDefaultTimeout(LOAD_TIMEOUT);
        assert.equal(await loaded(page), 'webgpu');
        await page.locator('[data-state=live]').waitFor();
        await textBox(page).fill('Ben had a red ball');
        await page.waitForURL(/[?&]t=/);
        await page.locator('[data-state=live]').waitFor();
        await page.workers()[0].evaluate(() => self.device.destroy());
        await textBox(page).fill('Ben had a red ball and a dog');
        await alertOf(page).waitFor();
        assert.equal(await alertOf(page).getAttribute('data-code'), 'device-lost');
        await page.getByRole('button', { name: 'Restart' }).click();
        await alertOf(page).waitFor({ state: 'detached' });
        assert.equal(await loaded(page), 'webgpu');
        assert.equal(await textBox(page).inputValue(), 'Ben had a red ball and a dog');
        await page.locator('[data-state=live]').waitFor();
        // While a text is written: prompt, edit and what was written stay, and it can be written again.
        await page.evaluate(() => (location.hash = '#/steer?len=200&temp=0&e=1.2_ablate_0&p=Ben%20had%20a%20ball'));
        const written = () => page.locator('[data-side=base]').getAttribute('data-ids');
        await page.waitForFunction(() => document.querySelector('[data-side=base]')?.dataset.ids.split(',').length > 8);
        await page.workers()[0].evaluate(() => self.device.destroy());
        await alertOf(page).waitFor();
        const kept = await written();
        assert.ok(kept.split(',').length > 8);
        await page.getByRole('button', { name: 'Restart' }).click();
        assert.equal(await loaded(page), 'webgpu');
        assert.equal(await page.getByRole('textbox', { name: 'Prompt' }).inputValue(), 'Ben had a ball');
        assert.equal(await written(), kept);
        await page.getByRole('spinbutton', { name: 'New tokens' }).fill('4');
        await page.getByRole('spinbutton', { name: 'New tokens' }).press('Tab');
        await page.getByRole('button', { name: 'Run' }).click();
        await page.locator('[data-side=steered]').getByText('4 new tokens', { exact: true }).waitFor();
        await close();
      } finally {
        await browser.close();
      }
    });
  });
});
