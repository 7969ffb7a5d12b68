// node tests/browser/wander.mjs [--minutes 5] [--seed 1]: presses, types, drags and goes through the built site at random, and says where it reported an
// error, showed a value that is none or a finding of axe, scrolled sideways, lost the keyboard's place or no longer answered, with the last steps that
// led there. Not a part of `npm test`.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../fuzz/random.mjs';
import { launch } from './harness.mjs';
import { accessibilityFindings, CLIPBOARD, openSite, serveSite, sidewaysScroll } from './page-kit.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string', default: '1' } } });
const end = performance.now() + Number(values.minutes) * 60_000;

/** What a finding shows of the way to it. */
const LAST_STEPS = 15;
/** Of one page: then a new one, with empty storage. */
const STEPS = 150;
const PATIENCE = 30_000;

const PAGES = [
  '',
  'gallery?q=plural',
  'challenges',
  'explore?n=1.3',
  'explore?p=The+cat&open=why',
  'browse?q=animal',
  'browse?rare=1',
  'steer?len=8&e=1.2_clamp_3*1.3_ablate_0',
  'steer?len=30&temp=1&seed=5&p=The+dog',
  'patch',
  'trace',
  'byo',
  'about',
  'm/Llama-TopK-Stories-16M/2/84',
  'm/Llama-Dense-Stories-16M/1/3',
];
const TEXTS = [
  '',
  'Once upon a time',
  'Ben had a red ball. He',
  ' ',
  '😀 naïve العربية 漢字',
  'a',
  '<b>bold</b> & "quotes"',
  'cat dog bird fish',
  '-1',
  '0',
  '7',
  '1e9',
  '3.5',
  'L2/17',
  'the '.repeat(400),
  'x'.repeat(3000),
];
const KEYS = [
  'Escape',
  'Enter',
  'Tab',
  'Shift+Tab',
  'ArrowDown',
  'ArrowUp',
  'ArrowLeft',
  'ArrowRight',
  'Home',
  'End',
  'Space',
  '/',
  '?',
  'j',
  'k',
  'Delete',
];
const WIDTHS = [320, 390, 768, 1280, 1440];
const CLICKABLE =
  'button:visible, a[href^="#"]:visible, summary:visible, [role=tab]:visible, [role=option]:visible, [role=row]:visible, input[type=checkbox]:visible, input[type=radio]:visible, [data-row]:visible, [tabindex="0"]:visible';
const TYPABLE =
  'input[type=text]:visible, input[type=search]:visible, input[type=number]:visible, input[type=url]:visible, input:not([type]):visible, textarea:visible';
/** What is asked for at addresses that do not exist. */
const IGNORED = [/Failed to load resource/, /net::ERR/, /HTTP 4/];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-wander-'));
const FILES = Object.entries({
  'notes.txt': 'Tom and Mia went to the park.\n\nThey saw a dog.\n',
  'broken.json': '{"format": 1, ',
  'other.json': '{"format": 1, "edits": [{"layer": 99, "index": -1}]}',
  'config.json': '{"model_type": "llama", "hidden_size": 12}',
  'empty.csv': '',
}).map(([name, text]) => {
  fs.writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
});

const site = await serveSite();
const browser = await launch({ webgpu: false });
let findings = 0;
let steps = 0;
for (let seed = Number(values.seed); performance.now() < end; seed++) await wander(seed);
console.log(`${steps} steps, ${findings} findings`);
await browser.close();
await site.close();
fs.rmSync(folder, { recursive: true });

async function wander(seed) {
  const random = new Random(seed);
  const { page, problems } = await openSite(browser, site, `#/${random.pick(PAGES)}`, { context: CLIPBOARD, ignore: IGNORED });
  page.setDefaultTimeout(2000);
  const way = [];
  const told = new Set();
  const report = (what) => {
    if (told.has(what)) return;
    told.add(what);
    findings++;
    console.log(`seed ${seed}: ${what}\n    at ${page.url()}\n    ${way.slice(-LAST_STEPS).join('\n    ')}`);
  };
  page.on('dialog', (dialog) => (random.chance(0.5) ? dialog.accept() : dialog.dismiss()).catch(() => {}));
  page.on('download', (download) => download.cancel().catch(() => {}));
  page.on('popup', (popup) => popup.close().catch(() => {}));
  const one = async (selector) => {
    const all = page.locator(selector);
    const count = await all.count();
    return count === 0 ? null : all.nth(random.below(count));
  };
  const describe = async (locator) =>
    locator.evaluate(
      (element) =>
        `${element.tagName.toLowerCase()} ${(element.ariaLabel ?? element.textContent ?? '').trim().replace(/\s+/g, ' ').slice(0, 50)}`,
    );
  const goTo = (hash) => {
    way.push(`go to #/${hash}`);
    return page.evaluate((to) => (location.hash = to), `#/${hash}`);
  };

  const step = async () => {
    const dice = random.next();
    if (dice < 0.58) {
      const target = await one(CLICKABLE);
      if (!target) return;
      way.push(`press ${await describe(target)}`);
      if (random.chance(0.3) && !(await target.isDisabled())) {
        await page.keyboard.press('Shift'); // what is focused after a click is not shown as focused
        await target.focus();
        await page.keyboard.press(random.pick(['Enter', 'Space']));
        await page.waitForTimeout(100);
        if (await page.evaluate(() => document.hasFocus() && document.activeElement === document.body))
          report(`${way.at(-1)}: the keyboard has no place any more`);
      } else await target.click({ noWaitAfter: true, clickCount: random.chance(0.1) ? 2 : 1 });
    } else if (dice < 0.72) {
      const target = await one(TYPABLE);
      if (!target) return;
      const text = random.pick(TEXTS);
      way.push(`type ${JSON.stringify(text.slice(0, 30))} into ${await describe(target)}`);
      await target.fill(text);
      if (random.chance(0.5)) await page.keyboard.press('Enter');
    } else if (dice < 0.78) {
      const target = await one('select:visible');
      if (!target) return;
      const index = random.below(await target.locator('option').count());
      way.push(`choose ${index} of ${await describe(target)}`);
      await target.selectOption({ index });
    } else if (dice < 0.85) {
      const target = await one('input[type=range]:visible');
      if (!target) return;
      const part = random.next();
      way.push(`drag ${await describe(target)} to ${part.toFixed(2)}`);
      const box = await target.boundingBox();
      if (box) await page.mouse.click(box.x + part * box.width, box.y + box.height / 2);
      if (random.chance(0.5)) await page.keyboard.press(random.pick(KEYS));
    } else if (dice < 0.9) {
      const key = random.pick(KEYS);
      way.push(`key ${key}`);
      await page.keyboard.press(key);
    } else if (dice < 0.92) {
      const target = await one('input[type=file]');
      if (!target) return;
      const file = random.pick(FILES);
      way.push(`give ${path.basename(file)}`);
      await target.setInputFiles(file);
    } else if (dice < 0.94) {
      way.push('back or forward');
      await page.evaluate((by) => history.go(by), random.chance(0.6) ? -1 : 1);
    } else if (dice < 0.95) {
      way.push('reload');
      await page.reload({ timeout: PATIENCE });
    } else if (dice < 0.96) {
      const width = random.pick(WIDTHS);
      way.push(`width ${width}`);
      await page.setViewportSize({ width, height: 900 });
    } else if (dice < 0.975) {
      const hash = new URL(page.url()).hash.slice(2);
      const at = random.below(hash.length + 1);
      await goTo(hash.slice(0, at) + random.pick(['', '%', '0', '-', 'x', '&', '=', '999', ',']) + hash.slice(at + 1));
    } else await goTo(random.pick(PAGES));
    if (random.chance(0.3)) await page.waitForTimeout(random.next() * 600);
  };

  try {
    for (let done = 0; done < STEPS && performance.now() < end; done++) {
      steps++;
      // What was to be pressed may have gone, or be covered.
      await step().catch((error) => way.push(`  (${String(error).split('\n')[0].slice(0, 120)})`));
      for (const problem of problems) report(problem);
      if (done % 5 === 4) {
        const answer = await Promise.race([
          page.evaluate(() => document.body.innerText).catch((error) => `failed: ${error}`),
          new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE)),
        ]);
        if (answer === null) {
          report(`no answer for ${PATIENCE / 1000} s`);
          break;
        }
        const none = /.{0,60}(\bundefined\b|\bNaN\b|\[object \w+\]|\bInfinity\b).{0,60}/.exec(answer);
        if (none) report(`shows “${none[0]}”`);
        const sideways = await sidewaysScroll(page).catch(() => 0);
        if (sideways > 1) report(`scrolls sideways by ${sideways} px at ${page.viewportSize().width}`);
        const twice = await page.evaluate(() => {
          const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
          return ids.filter((id, at) => ids.indexOf(id) !== at);
        });
        if (twice.length > 0) report(`the same id twice: ${twice}`);
        // The step back may have led to the empty page before the site.
        if (done % 25 === 24 && page.url().startsWith('http')) for (const finding of await accessibilityFindings(page)) report(finding);
      }
    }
  } catch (error) {
    report(`ended: ${error}`);
  } finally {
    await page
      .context()
      .close()
      .catch(() => {});
  }
}
