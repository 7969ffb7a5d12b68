// The site's budgets: what a first visit waits for at 10 Mbit/s, what it runs, and what may hold it up after that.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { paths } from '../scripts/lib/paths.mjs';
import { Failure } from '../scripts/lib/run.mjs';

/** Bytes per second and ms of the line that is emulated. */
const LINE = { offline: false, downloadThroughput: 10e6 / 8, uploadThroughput: 2e6 / 8, latency: 40 };

/** A view is useful once this is there: both stored texts, a text with its neurons, a place to search for a neuron, cards, a task. */
const VIEWS = {
  start: { hash: '', useful: '[data-outcome] [data-text]:not(:empty)' },
  explore: { hash: '#/explore', useful: '[data-state=stored], [data-state=live]' },
  steer: { hash: '#/steer', useful: '.held:not([hidden]) [role=search] input' },
  gallery: { hash: '#/gallery', useful: '[data-card]' },
  challenges: { hash: '#/challenges', useful: '[data-challenge]' },
};

export const BUDGETS = { view_ms: 2_000, start_scripts_kib: 60, interaction_ms: 100, long_task_ms: 200 };

/**
 * First visits on the emulated line.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url of a server that compresses
 * @returns {Promise<Record<string, number[]>>} ms, one for each run
 */
export async function firstViews(browser, url, runs) {
  const views = {};
  for (const [name, { hash, useful }] of Object.entries(VIEWS)) {
    views[name] = [];
    for (let run = 0; run < runs; run++) {
      views[name].push(await firstView(browser, `${url}?backend=cpu${hash}`, useful, name));
    }
  }
  return views;
}

async function firstView(browser, url, useful, name) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    const line = await context.newCDPSession(page);
    await line.send('Network.enable');
    await line.send('Network.emulateNetworkConditions', LINE);
    // By the page's own clock, which a busy machine does not make wait for this process.
    await page.addInitScript((selector) => {
      const look = () => {
        if (document.querySelector(selector)) requestAnimationFrame(() => setTimeout(() => (window.usefulAt = performance.now())));
        else requestAnimationFrame(look);
      };
      look();
    }, useful);
    await page.goto(url);
    try {
      await page.waitForFunction(() => window.usefulAt !== undefined, undefined, { timeout: 60_000 });
    } catch {
      throw new Failure(`The view "${name}" never held ${useful}.`);
    }
    return await page.evaluate(() => window.usefulAt);
  } finally {
    await context.close();
  }
}

/** KiB (gzip) of the scripts without which the start page does not stand: the frame's and the page's, and what they import before they run. */
export function startScripts() {
  const folder = path.join(paths.site, 'assets');
  const page = fs.readdirSync(folder).find((name) => /^Start-.*\.js$/.test(name));
  const html = fs.readFileSync(path.join(paths.site, 'index.html'), 'utf8');
  const waiting = [page, ...[...html.matchAll(/"\.\/assets\/([^"]+\.js)"/g)].map(([, name]) => name)];
  const found = new Map();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const code = fs.readFileSync(path.join(folder, name));
    found.set(name, gzipSync(code, { level: 9 }).length);
    waiting.push(...[...code.toString().matchAll(/(?:from|import)"\.\/([^"]+\.js)"/g)].map(([, imported]) => imported));
  }
  return [...found.values()].reduce((sum, size) => sum + size, 0) / 1024;
}

/** Rows of what was measured beside its budget, as text. @param {{what: string, unit: string, measured: number, budget: number}[]} rows */
export function budgetTable(rows) {
  const cells = rows.map(({ what, unit, measured, budget }) => [
    what,
    `${Math.round(measured)} ${unit}`,
    `${budget} ${unit}`,
    measured <= budget ? 'within' : 'over',
  ]);
  const all = [['', 'measured', 'budget', ''], ...cells];
  const widths = all[0].map((_, at) => Math.max(...all.map((row) => row[at].length)));
  return all
    .map((row) =>
      row
        .map((cell, at) => (at === 1 || at === 2 ? cell.padStart(widths[at]) : cell.padEnd(widths[at])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
