// npm run shots: the built page at three widths, light and dark, into dist/shots.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths, show } from '../../scripts/lib/paths.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { buildSite } from '../../scripts/lib/site.mjs';
import { ensureChromium } from '../../scripts/lib/system.mjs';
import { launch, openPage } from './harness.mjs';
import { chips, fill, loaded, write } from './page-kit.mjs';

const WIDTHS = [1440, 768, 390];
const SCHEMES = ['light', 'dark'];
const folder = inRoot('dist/shots');

await main(async () => {
  process.env.CHROMIUM = await ensureChromium();
  await buildSite();
  fs.mkdirSync(folder, { recursive: true });
  let slow = true;
  const intercept = (request, response) => {
    if (!slow || !request.url.endsWith('model.safetensors')) return false;
    response.writeHead(200, { 'content-length': 39_878_616 });
    response.write(Buffer.alloc(13_000_000)); // and then nothing more
    return true;
  };
  const server = await serve({ '/': paths.site }, { intercept });
  const browser = await launch();
  const { page, close } = await openPage(browser, `${server.url}?backend=cpu`);
  const shoot = async (state) => {
    for (const width of WIDTHS) {
      for (const colorScheme of SCHEMES) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        const file = path.join(folder, `${state}-${width}-${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
        console.log(show(file));
      }
    }
  };
  try {
    await page.getByText(/[1-9]\d*\.\d MB of 40/).waitFor();
    await shoot('loading');
    slow = false;
    await page.reload();
    await loaded(page);
    await shoot('ready');
    await fill(page, { maxTokens: 80 });
    await write(page, () => page.getByRole('button', { name: 'tree' }).click());
    await chips(page, 'steered').nth(20).click();
    await shoot('steered');
  } finally {
    await close();
    await browser.close();
    await server.close();
  }
});
