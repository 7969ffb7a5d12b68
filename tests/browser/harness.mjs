// Chromium for tests: launched with WebGPU on SwiftShader (a CPU emulation), pages that must stay free of errors.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { serve } from '../../scripts/lib/server.mjs';
import { findChromium } from '../../scripts/lib/system.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// SwiftShader compiles an initializer of workgroup memory word by word, for seconds a kernel; loops do the same at once.
const WEBGPU_FLAGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
];

/** Most that any step of a page may take (ms): it only ends what hangs, on a machine that has much else to do. */
export const STEP_TIMEOUT = 120_000;

// Each window of the browser loads two pages of its own for the address bar, of 400 files together: no test has one.
const WITHOUT = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup'];

/** The switch that turns those features off and `more`: of several such switches Chromium takes the last. */
const without = (...more) => `--disable-features=${[...WITHOUT, ...more].join(',')}`;

function chromiumPath() {
  const found = findChromium();
  assert.ok(found, 'Chromium was not found: put it on PATH or set CHROMIUM to its full path.');
  return found;
}

/**
 * A browser; close it in `after`. It is the headless shell where `npm test` found one: the same engine without windows and settings, with which a test
 * takes the processors a tenth less.
 * @param {{webgpu?: boolean, args?: string[]}} [options] `webgpu: false` gives a browser in which navigator.gpu has no adapter
 * @returns {Promise<import('playwright-core').Browser>}
 */
export async function launch({ webgpu = true, args = [] } = {}) {
  const own = webgpu ? [...WEBGPU_FLAGS, without()] : [without('WebGPU')];
  const executablePath = process.env.CHROMIUM_SHELL || chromiumPath();
  return chromium.launch({ executablePath, args: [...FLAGS, ...own, ...args], timeout: STEP_TIMEOUT });
}

/**
 * A browser with the extension in `folder`, and a profile that is deleted with it.
 * @param {string} folder
 * @returns {Promise<import('playwright-core').BrowserContext>}
 */
export async function launchExtension(folder) {
  const args = [...FLAGS, without(), `--disable-extensions-except=${folder}`, `--load-extension=${folder}`];
  const context = await chromium.launchPersistentContext('', {
    executablePath: chromiumPath(),
    args,
    ignoreDefaultArgs: ['--disable-extensions'],
    timeout: STEP_TIMEOUT,
  });
  context.setDefaultTimeout(STEP_TIMEOUT);
  return context;
}

/**
 * A browser whose settings are `preferences`, with one context and a profile that is deleted with it.
 * @param {object} preferences
 * @returns {Promise<{newContext: () => Promise<import('playwright-core').BrowserContext>, close: () => Promise<void>}>} as `openPage` takes it
 */
export async function launchWithPreferences(preferences) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-profile-'));
  fs.mkdirSync(path.join(profile, 'Default'));
  fs.writeFileSync(path.join(profile, 'Default/Preferences'), JSON.stringify(preferences));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath(),
    args: [...FLAGS, without('WebGPU')],
    timeout: STEP_TIMEOUT,
  });
  const close = async () => {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true });
  };
  return { newContext: async () => context, close };
}

/**
 * A page in a context of its own (empty caches).
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {{ignore?: RegExp[], context?: import('playwright-core').BrowserContextOptions}} [options] `ignore`: texts of
 *   console errors that this test provokes
 * @returns {Promise<{page: import('playwright-core').Page, problems: string[], close: () => Promise<void>}>} `problems`
 *   collects console errors, uncaught exceptions and failed requests; `close` fails the test if there are any
 */
export async function openPage(browser, url, { ignore = [], context: options = {} } = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(STEP_TIMEOUT); // of further pages too
  const page = await context.newPage();
  const problems = [];
  const note = (text) => {
    if (!ignore.some((pattern) => pattern.test(text))) problems.push(text);
  };
  page.on('console', (message) => {
    if (message.type() === 'error') note(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => note(`uncaught: ${error.stack ?? error}`));
  page.on('crash', () => note('the page crashed'));
  page.on('response', (response) => {
    if (response.status() >= 400) note(`HTTP ${response.status()}: ${response.url()}`);
  });
  await page.goto(url);
  const close = async () => {
    await context.close();
    assert.deepEqual(problems, [], 'the page reported errors');
  };
  return { page, problems, close };
}

/** A server whose `/` is an empty page on localhost (a secure context); `mounts` as in scripts/lib/server.mjs. */
export function serveBlank(mounts = {}, options = {}) {
  const intercept = (request, response) => {
    if (request.url === '/') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end('<!doctype html><title>test</title><link rel="icon" href="data:,">');
      return true;
    }
    return options.intercept?.(request, response) ?? false;
  };
  return serve(mounts, { ...options, intercept });
}
