// The site when something goes wrong: no WebGPU, a cancelled or broken download, a lost device, a wrong folder, another site's model.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { paths } from '../../scripts/lib/paths.mjs';
import { launch } from './harness.mjs';
import {
  accessibilityFindings,
  LOAD_TIMEOUT,
  loaded,
  openSite,
  serveSite,
  shippedModel,
  sidewaysScroll,
  STEP_TIMEOUT,
} from './page-kit.mjs';

const alertOf = (page) => page.getByRole('alert');
const textBox = (page) => page.getByRole('textbox', { name: 'Text' });

describe('site in trouble', { timeout: 1_800_000 }, () => {
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
      // By keyboard, which stays at the button in the other's place.
      await page.getByRole('button', { name: 'Cancel' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText(`is not loaded (${size} MB`).waitFor();
      await page.locator('button:focus', { hasText: 'Load the model' }).waitFor();
      // The end of the page is not under the bar.
      const under = await page.evaluate(() => {
        scrollTo(0, document.documentElement.scrollHeight);
        return (
          document.querySelector('main').getBoundingClientRect().bottom - document.querySelector('.notice.bar').getBoundingClientRect().top
        );
      });
      assert.ok(under <= 0, `${under} px under the bar`);
      // What a page suggests waits for it too.
      await page.evaluate(() => (location.hash = '#/steer'));
      await page.getByText('Find neurons that turn one word into another').click();
      await page.getByLabel('From', { exact: true }).waitFor();
      await page.getByText(`is not loaded (${size} MB`).waitFor();
      site.release();
      await page.getByRole('button', { name: 'Load the model' }).focus();
      await page.keyboard.press('Enter');
      assert.equal(await loaded(page), 'cpu');
      await page.locator('main:focus').waitFor();
      await close();
    }));

  test('where the server compresses, the bar of a download shows no share', () => {
    let rest = null;
    // Without the length, as any server does that compresses while it sends; and no manifest says it.
    const intercept = (request, response) => {
      if (request.url.endsWith(`${model.name}/manifest.json`)) {
        response.writeHead(404).end();
        return true;
      }
      if (!request.url.endsWith(`${model.name}/model.safetensors`)) return false;
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' });
      if (request.method === 'HEAD') response.end();
      else {
        const bytes = gzipSync(fs.readFileSync(path.join(model.folder, 'model.safetensors')), { level: 0 });
        response.write(bytes.subarray(0, 1_000_000));
        rest = () => response.end(bytes.subarray(1_000_000));
      }
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site, '#/explore', { ignore: [/404/] });
      const bar = page.locator('[data-phase=loading]').filter({ hasText: /Downloading \S+ [1-9][\d.]* MB/ });
      await bar.locator('progress:indeterminate').waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await bar.innerText(), /MB\s+Cancel$/, 'without a total');
      rest();
      assert.equal(await loaded(page), 'cpu');
      await close();
    });
  });

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

  /** Of a page that fails while it is drawn, whatever the reason. */
  const failing = () => {
    const original = Number.prototype.toLocaleString;
    Number.prototype.toLocaleString = function (...args) {
      if (location.hash.startsWith('#/browse')) throw new Error('cannot be drawn');
      return original.apply(this, args);
    };
  };

  test('a page that cannot be drawn says so, and the others go on', () =>
    withServer({}, async (site) => {
      const { page, close } = await openSite(plain, site, '#/explore', { ignore: [/cannot be drawn/] });
      assert.equal(await loaded(page), 'cpu');
      const uncaught = [];
      const logged = [];
      page.on('pageerror', (error) => uncaught.push(error));
      page.on('console', (message) => logged.push(message.text()));
      await page.evaluate(failing);
      const to = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
      await to('Browse');
      await alertOf(page).getByText('This page could not be drawn.').waitFor();
      assert.equal(await page.locator('main [data-state]').count(), 0, 'the page before it is still there');
      assert.match(logged.join(), /cannot be drawn/);
      assert.deepEqual(await accessibilityFindings(page), []);
      await to('Explore');
      await page.locator('[data-state=live]').waitFor({ timeout: LOAD_TIMEOUT });
      assert.equal(await alertOf(page).count(), 0);
      await to('Browse');
      await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Reload the page' }).click()]);
      await page.locator('[data-row]').first().waitFor({ timeout: LOAD_TIMEOUT });
      assert.deepEqual(uncaught, []);
      await close();
    }));

  /** The shipped folder with other files, by path; without its manifest, which has their hashes. */
  const altered = (files) => (request, response) => {
    const [, file] = request.url.split(`/models/${model.name}/`);
    if (file === 'manifest.json') response.writeHead(404).end();
    else if (file in files) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(files[file]));
    else return false;
    return true;
  };

  test('what a file repeats is shown all the same', () => {
    const recipe = { ...model.read('recipes.json')[0], concept: 'twice' };
    const { switches, ...rest } = model.read('features/switches.json');
    const files = {
      'recipes.json': [recipe, recipe, recipe],
      'features/switches.json': { ...rest, switches: [...switches, ...switches] },
    };
    return withServer({ intercept: altered(files) }, async (site) => {
      const { page, close } = await openSite(plain, site, '#/steer?len=4', { ignore: [/404/] });
      await page.locator('[data-recipes] li').nth(2).waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Gallery' }).click();
      await page.locator('[data-found]:not([data-found="0"])').waitFor({ timeout: LOAD_TIMEOUT });
      assert.equal(await alertOf(page).count(), 0);
      await close();
    });
  });

  test('a model that was replaced under its name: each page says so, and a reload takes the new one', () => {
    const old = model.read('manifest.json');
    const replaced = {};
    const intercept = (request, response) => {
      const [, file] = request.url.split(`/models/${model.name}/`);
      if (!(file in replaced)) return false;
      const bytes = replaced[file];
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length });
      response.end(request.method === 'HEAD' ? undefined : bytes);
      return true;
    };
    const [{ step }] = model.steps;
    const replace = () => {
      const files = [
        'features/index.json',
        'features/layer0/0.json',
        'recipes.json',
        'model.safetensors',
        `step${step}/model.safetensors`,
      ].map((file) => {
        const bytes = fs.readFileSync(path.join(model.folder, file));
        replaced[file] = file.endsWith('.json') ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes.with(-1, bytes.at(-1) ^ 1);
        return [file, replaced[file]];
      });
      const known = new Map(files);
      replaced['manifest.json'] = Buffer.from(
        JSON.stringify({
          ...old,
          files: old.files.map((entry) => {
            const bytes = known.get(entry.path);
            return bytes ? { ...entry, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') } : entry;
          }),
        }),
      );
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site);
      assert.equal(await loaded(page), 'cpu');
      await page.locator('[data-state=live]').waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('heading', { name: /^Most special/ }).waitFor({ timeout: LOAD_TIMEOUT }); // the statistics are there, too
      replace();
      const to = (hash) => page.evaluate((wanted) => (location.hash = wanted), hash);
      const reload = page.getByRole('button', { name: 'Reload the page' });
      await to(`#/explore?ckpt=${step}`);
      await alertOf(page).and(page.locator('[data-code=integrity]')).waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await alertOf(page).innerText(), /The previous weights stay in use\. Reload the page/);
      await reload.waitFor();
      await to('#/steer');
      await page.getByText('The recipes of this model could not be read').waitFor({ timeout: LOAD_TIMEOUT });
      await to(`#/m/${model.name}/0/1`);
      const note = page.getByRole('note').filter({ hasText: /^\s*http.* replaced/ }); // not that of Steer, which may still be there
      await note.waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await note.innerText(), /^http/);
      await Promise.all([page.waitForNavigation(), page.locator('main').getByRole('button', { name: 'Reload the page' }).click()]);
      await page.locator('[data-neuron="0.1"]').waitFor({ timeout: LOAD_TIMEOUT });
      await close();
    });
  });

  test('where scripts do not load the page says so, and says nothing while they may', () => {
    let type = 'text/plain';
    const intercept = (request, response) => {
      if (!/\/assets\/index-[^/]*\.js$/.test(request.url)) return false;
      response.setHeader('content-type', type);
      response.end(fs.readFileSync(path.join(paths.site, 'assets', path.basename(request.url))));
      return true;
    };
    return withServer({ intercept }, async (site) => {
      const { page, close } = await openSite(plain, site, '#/about', { ignore: [/MIME type/] });
      const said = page.getByText('The page’s scripts could not be loaded.');
      // From the beginning of its wait: loading may have taken as long.
      const isSaid = await said.evaluate((element) => {
        const [wait] = element.getAnimations();
        wait.currentTime = 0;
        return element.checkVisibility({ visibilityProperty: true });
      });
      assert.equal(isSaid, false);
      await said.waitFor({ timeout: STEP_TIMEOUT });
      assert.deepEqual(await accessibilityFindings(page), []);
      type = 'text/javascript';
      await page.reload();
      await page.locator('h1').waitFor();
      assert.equal(await said.count(), 0);
      await close();
    });
  });

  test('a page whose code does not arrive is a sentence, and loads again when asked to, or with the connection', () => {
    let lost = null;
    const intercept = (request) => {
      if (!lost?.test(request.url)) return false;
      request.socket.destroy();
      return true;
    };
    return withServer({ intercept }, async (site) => {
      // Nothing but the network has the pages.
      const context = { viewport: { width: 390, height: 844 }, serviceWorkers: 'block' };
      const { page, close } = await openSite(plain, site, '#/about', { context, ignore: [/net::ERR/] });
      assert.equal(await loaded(page), 'cpu');
      await page.locator('main[data-page=about]').waitFor();
      const notice = page.locator('[data-code=page-code]');
      const open = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
      const again = notice.getByRole('button', { name: 'Load again' });
      const hasStyles = (selector) =>
        page.waitForFunction((of) => getComputedStyle(document.querySelector(of)).display === 'grid', selector);

      lost = /Gallery-[^/]*\.(js|css)$/;
      await open('Gallery');
      await notice.waitFor();
      assert.equal(await notice.locator('p').innerText(), 'This page could not be loaded. Check your connection and load again.');
      assert.equal(await sidewaysScroll(page), 0);
      assert.deepEqual(await accessibilityFindings(page), []);
      // Not even half of it: without its styles, then without its code.
      lost = /Gallery-[^/]*\.css$/;
      const asked = page.waitForEvent('requestfailed');
      await again.click();
      await asked;
      lost = /Gallery-[^/]*\.js$/;
      const askedAgain = page.waitForEvent('requestfailed');
      await again.click();
      await askedAgain;
      assert.equal(await page.locator('main[data-page]').count(), 0);
      lost = null;
      await again.click();
      await page.locator('main[data-page=gallery] .cards').waitFor();
      await hasStyles('.cards');
      await notice.waitFor({ state: 'detached' });

      await page.context().setOffline(true);
      await open('Challenges');
      await notice.waitFor();
      await page.context().setOffline(false);
      await page.locator('main[data-page=challenges]').waitFor();
      await notice.waitFor({ state: 'detached' });
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
        const { page, close } = await openSite(browser, site, '#/explore?p=Ben+had', { search: '?backend=webgpu' });
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
