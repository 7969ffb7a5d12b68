// What the tests of the page share: opening it, doing things a person does, reading what it shows.
import fs from 'node:fs';
import path from 'node:path';
import { paths } from '../../scripts/lib/paths.mjs';

export const MODEL_FOLDER = path.join(paths.models, 'Llama-TopK-Stories-20M');

/** Loading on an emulated GPU beside other work may take long. */
export const LOAD_TIMEOUT = 180_000;
const WRITE_TIMEOUT = 180_000;

/** Waits until the model has been loaded, and gives the kind of its backend. */
export async function loaded(page) {
  const backend = page.locator('[data-backend]');
  await backend.or(page.getByRole('alert')).first().waitFor({ timeout: LOAD_TIMEOUT });
  if (await page.getByRole('alert').isVisible()) throw new Error(`The page reports: ${await page.getByRole('alert').innerText()}`);
  return backend.getAttribute('data-backend');
}

export const promptBox = (page) => page.getByRole('textbox', { name: 'Prompt' });

/** Fills the form. */
export async function fill(page, { prompt, temperature, maxTokens, seed }) {
  if (prompt !== undefined) await promptBox(page).fill(prompt);
  if (temperature !== undefined) await page.getByLabel('Temperature').fill(String(temperature));
  if (maxTokens !== undefined) await page.getByLabel('Most new tokens').fill(String(maxTokens));
  if (seed !== undefined) await page.getByLabel('Seed', { exact: true }).fill(String(seed));
}

/** Presses Generate (or does `act`) and waits until everything is written and read. */
export async function write(page, act = () => page.getByRole('button', { name: 'Generate' }).click()) {
  await page.evaluate(() => {
    window.sawWork = false;
    const status = document.querySelector('[role=status]');
    const look = () => {
      if (/Writing|Reading/.test(status.textContent)) window.sawWork = true;
    };
    window.looking?.disconnect();
    window.looking = new MutationObserver(look);
    window.looking.observe(status, { childList: true, characterData: true, subtree: true });
  });
  await act();
  await page.waitForFunction(() => window.sawWork && /Done/.test(document.querySelector('[role=status]').textContent), null, {
    timeout: WRITE_TIMEOUT,
  });
}

/** Chips of a side ('base' or 'steered'). */
export const chips = (page, side) => page.locator(`[data-side=${side}] [role=option]`);

/** The text of a side, token by token. */
export const tokensOf = (page, side) => chips(page, side).allTextContents();

/** Active neurons that the panel shows, by layer: how many there are, and the bars in order. */
export const layersOf = (page) =>
  page.locator('[data-layer]').evaluateAll((layers) =>
    layers.map((layer) => ({
      layer: Number(layer.dataset.layer),
      active: Number(layer.dataset.active),
      bars: [...layer.querySelectorAll('button')].map((button) => ({
        index: Number(button.querySelector('[data-index]').textContent),
        value: Number(button.querySelector('[data-value]').textContent.replace('−', '-')),
      })),
    })),
  );

const axeSource = fs.readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** Serious and critical findings of axe, in light and dark. */
export async function accessibilityFindings(page) {
  await page.evaluate(axeSource);
  const findings = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, nodes } of violations) {
      if (impact === 'serious' || impact === 'critical') findings.push(`${colorScheme}: ${id} at ${nodes[0].html}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return findings;
}

/** How far the page can be scrolled sideways, in px. */
export const sidewaysScroll = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
