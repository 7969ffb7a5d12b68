// The page when something goes wrong: no WebGPU, a cancelled or broken download, a lost device, a wrong folder.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch, openPage } from './harness.mjs';
import { accessibilityFindings, chips, fill, loaded, LOAD_TIMEOUT, MODEL_FOLDER, promptBox, write } from './page-kit.mjs';

const alertOf = (page) => page.getByRole('alert');

describe('page in trouble', { timeout: 900_000 }, () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test('without WebGPU it runs on the CPU by itself, and offers it where WebGPU was asked for', async () => {
    const server = await serve({ '/': paths.site });
    const plain = await launch({ webgpu: false });
    try {
      const { page, close } = await openPage(plain, `${server.url}?backend=webgpu#prompt=A+fox`);
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('button', { name: 'Use the CPU' }).click();
      await page.waitForURL(/backend=cpu/);
      assert.equal(await loaded(page), 'cpu');
      assert.equal(await promptBox(page).inputValue(), 'A fox');
      await page.goto(server.url);
      assert.equal(await loaded(page), 'cpu');
      await close();
    } finally {
      await plain.close();
      await server.close();
    }
  });

  test('the size is shown, a download can be cancelled and started again', async () => {
    let slow = true;
    const { size } = fs.statSync(path.join(MODEL_FOLDER, 'model.safetensors'));
    const server = await serve(
      { '/': paths.site },
      {
        intercept: (request, response) => {
          if (!slow || !request.url.endsWith('model.safetensors')) return false;
          response.writeHead(200, { 'content-length': size });
          response.write(Buffer.alloc(1_000_000)); // and then nothing more
          return true;
        },
      },
    );
    try {
      const { page, close } = await openPage(browser, `${server.url}?backend=cpu`);
      await page.getByText(/\d+\.\d MB of 40\.1 MB/).waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('is not loaded (40.1 MB').waitFor();
      slow = false;
      await page.getByRole('button', { name: 'Load the model' }).click();
      assert.equal(await loaded(page), 'cpu');
      await close();
    } finally {
      await server.close();
    }
  });

  test('a damaged file is named, and loading again takes the right one', async () => {
    let damaged = true;
    const server = await serve(
      { '/': paths.site },
      {
        intercept: (request, response) => {
          if (!damaged || !request.url.endsWith('tokenizer.json')) return false;
          const bytes = fs.readFileSync(path.join(MODEL_FOLDER, 'tokenizer.json'));
          bytes[1000] ^= 1;
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
          return true;
        },
      },
    );
    try {
      const { page, close } = await openPage(browser, `${server.url}?backend=cpu`);
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await alertOf(page).innerText(), /tokenizer\.json/);
      assert.deepEqual(await accessibilityFindings(page), []);
      damaged = false;
      await page.getByRole('button', { name: 'Load again' }).click();
      await alertOf(page).waitFor({ state: 'detached' });
      assert.equal(await loaded(page), 'cpu');
      await close();
    } finally {
      await server.close();
    }
  });

  test('a folder without a model is a sentence, not a blank page', async () => {
    const server = await serve({ '/': paths.site });
    try {
      const { page, close } = await openPage(browser, `${server.url}?backend=cpu&model=nowhere/`, { ignore: [/404/] });
      await page.getByRole('button', { name: 'Load the model' }).click();
      await alertOf(page).waitFor({ timeout: LOAD_TIMEOUT });
      assert.match(await alertOf(page).innerText(), /nowhere\//);
      await close();
    } finally {
      await server.close();
    }
  });

  test('a lost device: Restart, and nothing typed is lost', async () => {
    // The device lives in the worker, so the worker's script is served with a hand on it.
    const hand = `{
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        return (self.device = await request.apply(this, args));
      };
    }\n`;
    const server = await serve(
      { '/': paths.site },
      {
        intercept: (request, response) => {
          if (!/\/assets\/worker-[^/]*\.js$/.test(request.url)) return false;
          response.setHeader('content-type', 'text/javascript');
          response.end(hand + fs.readFileSync(path.join(paths.site, request.url), 'utf8'));
          return true;
        },
      },
    );
    try {
      const { page, close } = await openPage(browser, `${server.url}?backend=webgpu`);
      assert.equal(await loaded(page), 'webgpu');
      await fill(page, { prompt: 'Ben had a red ball', temperature: 0, maxTokens: 200 });
      await page.getByRole('button', { name: 'Generate' }).click();
      await page.waitForFunction(() => document.querySelectorAll('[data-side=base] [role=option]').length > 8, null, { timeout: 120_000 });
      await page.workers()[0].evaluate(() => self.device.destroy());
      await alertOf(page).waitFor({ timeout: 60_000 });
      assert.equal(await alertOf(page).getAttribute('data-code'), 'device-lost');
      await page.getByRole('button', { name: 'Restart' }).click();
      await alertOf(page).waitFor({ state: 'detached' });
      assert.equal(await loaded(page), 'webgpu');
      assert.equal(await promptBox(page).inputValue(), 'Ben had a red ball');
      await fill(page, { maxTokens: 4 });
      await write(page);
      assert.ok((await chips(page, 'base').count()) > 8);
      await close();
    } finally {
      await server.close();
    }
  });
});
