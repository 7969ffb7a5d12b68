// The app shell without a network, its change of version, the policy that the site states, and the 404 page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { policy, writeHostFiles } from '../../scripts/lib/site-files.mjs';
import { launch, openPage } from './harness.mjs';
import { loaded, openSite, shippedModel, STEP_TIMEOUT, withSite } from './page-kit.mjs';

const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' https: http://localhost:* http://127.0.0.1:*; img-src 'self' data: blob:; style-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

/** The module of the statistics in the tab, which is no part of the shell. */
const MODULE = `assets/${fs.readdirSync(path.join(paths.site, 'assets')).find((name) => /^statistics_bg.*\.wasm$/.test(name))}`;

test('the page and the headers of static hosts hold the policy, word for word', () => {
  const read = (name) => fs.readFileSync(path.join(paths.site, name), 'utf8');
  assert.equal(policy(), POLICY);
  for (const name of ['_headers', '.htaccess', 'nginx-headers.conf']) {
    // A <meta> cannot say who may frame the page; anybody may, for `?embed=1`.
    assert.ok(read(name).includes(`${POLICY}; frame-ancestors *`), name);
  }
  const meta = /<meta http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(read('index.html'))[1];
  assert.equal(meta.replaceAll('&#39;', "'"), POLICY);
});

describe('without a network', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let site;
  let browser;
  let page;
  let worker = (source) => source;

  const intercept = (request, response) => {
    response.setHeader('content-security-policy', POLICY);
    if (!request.url.endsWith('/service-worker.js')) return false;
    response.setHeader('content-type', 'text/javascript');
    response.end(worker(fs.readFileSync(path.join(paths.site, 'service-worker.js'), 'utf8')));
    return true;
  };
  withSite({ hash: '#/explore', keepsShell: true, serve: { intercept }, ignore: [/ERR_INTERNET_DISCONNECTED/] }, async (on) => {
    ({ site, browser, page } = on);
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`policy: ${violatedDirective} forbids ${blockedURI}`);
      });
    });
    // The worker has the pages before any of them asks for what is kept from its first use on.
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await page.reload();
  });

  const visit = async (name, heading) => {
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
  };

  test('every page keeps to the policy', async () => {
    assert.equal(await loaded(page), 'cpu');
    await visit('Gallery', 'Gallery');
    await visit('Challenges', 'Challenges');
    await visit('Browse', 'All neurons');
    await visit('Steer', 'Steer');
    await visit('Trace', 'Trace');
    await visit('Your model', 'Your model');
    await visit('About', 'About');
    if (model.features) {
      await page.evaluate((name) => (location.hash = `#/m/${name}/0/0`), encodeURIComponent(model.name));
      await page.getByRole('heading', { name: 'Layer 0 neuron 0' }).waitFor();
    }
    // A violation is a console error, which fails when the page is closed.
  });

  test('the shell holds pages and engine, and no weights', async () => {
    const kept = await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      const names = (await caches.keys()).filter((name) => name.startsWith('topk-lm-shell:'));
      const cache = await caches.open(names[0]);
      return { names, urls: (await cache.keys()).map(({ url }) => url) };
    });
    assert.equal(kept.names.length, 1);
    assert.ok(kept.urls.some((url) => url.endsWith('.wasm')));
    assert.ok(kept.urls.some((url) => url.endsWith('/models/index.json')));
    assert.ok(!kept.urls.some((url) => /safetensors|features\/|statistics_bg/.test(url)));
  });

  test('what few readers use is kept from its first use on', async () => {
    const fetched = () =>
      page.evaluate(async (file) => (await (await fetch(new URL(file, document.baseURI))).arrayBuffer()).byteLength, MODULE);
    const { size } = fs.statSync(path.join(paths.site, MODULE));
    await page.evaluate(
      () =>
        navigator.serviceWorker.controller ||
        new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true })).then(() => {}),
    );
    const asked = () => site.requests.filter((url) => url.includes('statistics_bg')).length;
    assert.equal(asked(), 0);
    assert.equal(await fetched(), size);
    assert.equal(asked(), 1);
    assert.equal(await fetched(), size);
    assert.equal(asked(), 1);
  });

  test('what was opened works without a network; the rest says that it is not downloaded yet', async () => {
    const stored = `models/${model.name}/steered.json`; // of the visit to Steer, which did not wait for it
    await page.waitForFunction(async (file) => (await caches.match(new URL(file, document.baseURI))) !== undefined, stored);
    await page.context().setOffline(true);
    await page.goto(`${site.url}?backend=cpu#/steer?len=6`);
    await page.reload();
    assert.equal(await loaded(page), 'cpu');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('[data-side=base]').getByText('6 new tokens').waitFor();
    if (model.steps.length > 0) {
      await page.evaluate((step) => (location.hash = `#/trace?ckpt=${step}`), model.steps[0].step);
      await page.locator('[role=alert][data-code=offline]').waitFor();
      assert.match(await page.getByRole('alert').innerText(), /not been downloaded yet/);
    }
    await page.context().setOffline(false);
  });

  test('About promises pages offline only where something keeps them', async () => {
    const isKept = 'Pages you have opened stay available offline';
    await page.goto(`${site.url}?backend=cpu#/about`);
    await page.getByText(isKept).waitFor();
    const alone = await openSite(browser, site, '#/about');
    try {
      await alone.page.getByText('the pages themselves need a connection.').waitFor();
      assert.equal(await alone.page.getByText(isKept).count(), 0);
    } finally {
      await alone.close();
    }
  });

  test('a new version waits until it is wanted, then the whole shell is new', async () => {
    await page.goto(`${site.url}?backend=cpu#/about`);
    await page.reload();
    await page.getByRole('heading', { name: 'About', level: 1 }).waitFor();
    // A tab with a model of the reader's own files, which a reload would lose.
    const own = await page.context().newPage();
    await own.goto(`${site.url}?backend=cpu#/byo`);
    await own.getByLabel(/A folder on this device/).setInputFiles(inRoot('tests/goldens/models/llama-dense-bias'));
    await own.getByText('The model is dense').waitFor();
    // And one with results that no address holds.
    const held = await page.context().newPage();
    await held.goto(`${site.url}?backend=cpu#/steer?len=2&temp=0&e=1.2_clamp_3`);
    assert.equal(await loaded(held), 'cpu');
    await held.getByRole('button', { name: /^Sweep \d+ strengths/ }).click();
    await held.locator('[data-results=sweep][data-done="8"]').waitFor();
    worker = (source) => source.replace(/const VERSION = '[^']*'/, "const VERSION = 'next'");
    await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
    await page.getByRole('button', { name: 'Update' }).waitFor();
    await page.getByText('Texts and settings are kept.').waitFor();
    await held.getByText('What no link holds, such as a strength sweep or a text to count over, is lost.').waitFor();
    for (const tab of [own, held]) {
      await tab.evaluate(() => {
        globalThis.taken = new Promise((resolve) =>
          navigator.serviceWorker.addEventListener('controllerchange', () => setTimeout(resolve, 500)),
        );
      });
    }
    const areTaken = [own, held].map((tab) => tab.evaluate(() => taken));
    await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Update' }).click()]);
    await page.getByRole('heading', { name: 'About', level: 1 }).waitFor();
    await Promise.all(areTaken); // fails where a tab reloads
    await held.locator('[data-results=sweep][data-done="8"]').waitFor();
    await held.close();
    await own.getByText('After the update, choose your model’s folder again.').waitFor();
    await Promise.all([own.waitForEvent('load'), own.getByRole('button', { name: 'Update' }).click()]);
    await own.close();
    await page.waitForFunction(async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith('topk-lm-shell:'));
      return names.length === 1 && names[0] === `topk-lm-shell:${encodeURIComponent(new URL('./', document.baseURI).pathname)}:next`;
    });
    // What was used with the old one is there with the new one too.
    assert.ok(await page.evaluate(async (file) => (await caches.match(new URL(file, document.baseURI))) !== undefined, MODULE));
  });

  test('of two tabs that were open at the first visit both take a new version', async () => {
    const context = await browser.newContext();
    const before = worker;
    try {
      worker = (source) => source;
      const late = await context.newPage();
      let goOn;
      const held = new Promise((resolve) => (goOn = resolve));
      await late.route(/model\.safetensors$/, async (route) => {
        await held;
        await route.continue();
      });
      await late.goto(`${site.url}?backend=cpu#/explore`);
      await late.locator('[data-phase=loading]').waitFor();
      const first = await context.newPage();
      await first.goto(`${site.url}?backend=cpu#/explore`);
      // Its model is still on the way when the worker of the first one takes it over.
      await late.waitForFunction(() => navigator.serviceWorker.controller !== null);
      goOn();
      await loaded(late);
      worker = (source) => source.replace(/const VERSION = '[^']*'/, "const VERSION = 'after'");
      await first.evaluate(async () => (await navigator.serviceWorker.ready).update());
      await Promise.all([late, first].map((tab) => tab.getByRole('button', { name: 'Update' }).waitFor()));
      await Promise.all([late.waitForEvent('load'), first.getByRole('button', { name: 'Update' }).click()]);
    } finally {
      worker = before;
      await context.close();
    }
  });

  test('a model that the browser does not store is not called stored', async () => {
    await page.evaluate(() => {
      globalThis.put = Cache.prototype.put;
      Cache.prototype.put = async () => {
        throw new DOMException('Quota exceeded.', 'QuotaExceededError');
      };
    });
    await page.getByRole('button', { name: /^Keep .* offline \(\d+\.\d MB\)/ }).click();
    await page
      .getByRole('alert')
      .filter({ hasText: 'storage for this site is full' })
      .waitFor({ timeout: 4 * STEP_TIMEOUT });
    assert.equal(await page.getByText('now works offline').count(), 0);
    await page.evaluate(() => {
      Cache.prototype.put = globalThis.put;
    });
  });

  test('keeping the model offline shows its size and ends with all of its files', async () => {
    await page.getByRole('button', { name: /^Keep .* offline \(\d+\.\d MB\)/ }).click();
    await page.locator('[data-keeping=kept]').waitFor({ timeout: 4 * STEP_TIMEOUT });
    await page.getByText('now works offline').waitFor();
    const manifest = model.read('manifest.json');
    const kept = await page.evaluate(async () =>
      (await (await caches.open('topk-lm')).keys()).map(({ url }) => decodeURIComponent(decodeURIComponent(url))),
    );
    for (const { path: file } of manifest.files.filter(({ path: name }) => !/^step/.test(name))) {
      assert.ok(
        kept.some((url) => url.includes(`${encodeURIComponent(model.name)}/${file}`) || url.includes(`${model.name}/${file}`)),
        file,
      );
    }
    // What was said of that model goes with it.
    const folder = inRoot('tests/goldens/models/llama-dense-bias');
    const read = (name) => ({ name, data: fs.readFileSync(path.join(folder, name)).toString('base64') });
    await page.evaluate((files) => {
      const dataTransfer = new DataTransfer();
      for (const { name, data } of files) dataTransfer.items.add(new File([Uint8Array.from(atob(data), (one) => one.charCodeAt(0))], name));
      dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    }, ['config.json', 'model.safetensors'].map(read));
    await page.getByText('now works offline').waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('button', { name: /^Keep / }).count(), 0);
  });

  test('where a reader has only pressed that, each page shows all that it shows with a network', async () => {
    const alone = await openSite(browser, site, '#/about', { keepsShell: true, ignore: [/ERR_INTERNET_DISCONNECTED/] });
    try {
      await alone.page.getByRole('button', { name: /^Keep .* offline/ }).click();
      await alone.page.getByText('now works offline').waitFor({ timeout: 4 * STEP_TIMEOUT });
      await alone.page.context().setOffline(true);
      const [, { title }] = model.read('examples/index.json').texts;
      for (const [place, what] of [
        ['gallery', 'dl.topic'],
        ['challenges', '[data-challenge]'],
        ['explore', `main :text("${title}")`],
        ['trace', '[data-film]'],
      ]) {
        await alone.page.goto(`${site.url}?backend=cpu#/${place}`);
        await alone.page.reload();
        await alone.page.locator(what).first().waitFor();
        assert.equal(await alone.page.locator('[role=alert]').count(), 0, place);
      }
    } finally {
      await alone.close();
    }
  });
});

describe('several deployments', { timeout: 1_800_000 }, () => {
  let answer = () => false;
  let server;
  let browser;
  before(async () => {
    server = await serve(
      { '/one/': paths.site, '/one/-two/': paths.site, '/two/': paths.site },
      { intercept: (request, response) => answer(request, response) },
    );
    browser = await launch({ webgpu: false });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const open = async (page, place) => {
    await page.goto(`${server.url}${place}?backend=cpu#/about`);
    await page.getByRole('heading', { name: 'About', level: 1 }).waitFor();
  };
  const keptShells = (page) => page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('topk-lm-shell')));

  test('a page of another version is not kept with this one: the old shell stays, or none', async () => {
    const { page, close } = await openPage(browser, server.url, { ignore: [/404/] });
    let asked = 0;
    const thrice = {};
    thrice.promise = new Promise((resolve) => (thrice.resolve = resolve));
    // The page is the next version's already, the worker still this one's: in the middle of a deployment.
    answer = (request, response) => {
      if (new URL(request.url, server.url).pathname !== '/two/') return false;
      if (++asked === 3) thrice.resolve();
      const html = fs.readFileSync(path.join(paths.site, 'index.html'), 'utf8');
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`${html}<!-- of the next version -->`);
      return true;
    };
    await open(page, 'two/');
    // The worker asks for the page twice, then gives up, and the browser drops it.
    await thrice.promise;
    await page.waitForFunction(async () => !(await navigator.serviceWorker.getRegistration()));
    assert.deepEqual(await keptShells(page), []);
    answer = () => false;
    await open(page, 'two/?again');
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    assert.equal((await keptShells(page)).length, 1);
    await close();
  });

  test('sites on one origin leave each other alone, and a shell of old goes with its site', async () => {
    const { page, close } = await openPage(browser, server.url, { ignore: [/404/, /ERR_INTERNET_DISCONNECTED/] });
    await page.evaluate(async () => {
      const mine = await caches.open('topk-lm-shell-0123456789abcdef');
      await mine.put('/one/', new Response('old'));
      const other = await caches.open('topk-lm-shell-fedcba9876543210');
      await other.put('/elsewhere/', new Response('old'));
    });
    for (const place of ['one/', 'two/', 'one/-two/']) {
      await open(page, place);
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
      await page.waitForFunction(() => navigator.serviceWorker.controller);
    }
    const names = await keptShells(page);
    assert.equal(names.filter((name) => name.startsWith('topk-lm-shell:')).length, 3, names.join());
    assert.deepEqual(
      names.filter((name) => name.startsWith('topk-lm-shell-')),
      ['topk-lm-shell-fedcba9876543210'],
    );
    await page.context().setOffline(true);
    for (const place of ['one/', 'two/', 'one/-two/']) await open(page, place);
    await close();
  });
});

describe('a host that leaves `.html` out of addresses', { timeout: 1_800_000 }, () => {
  let server;
  let browser;
  before(async () => {
    const intercept = (request, response) => {
      const { pathname } = new URL(request.url, 'http://host.invalid');
      if (pathname.endsWith('.html')) {
        response.writeHead(308, { location: pathname.replace(/(index)?\.html$/, '') }).end();
        return true;
      }
      const file = path.join(paths.site, `${pathname}.html`);
      if (pathname.endsWith('/') || !fs.existsSync(file)) return false;
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(fs.readFileSync(file));
      return true;
    };
    server = await serve({ '/': paths.site }, { intercept });
    browser = await launch({ webgpu: false });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test('without a network its pages open, by their file or by their folder', async () => {
    const { page, close } = await openPage(browser, `${server.url}?backend=cpu#/about`, { ignore: [/ERR_INTERNET_DISCONNECTED/] });
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await page.waitForFunction(() => navigator.serviceWorker.controller);
    await page.context().setOffline(true);
    for (const place of ['docs/statistics.html', 'docs/statistics.html?x=1', 'docs/', 'docs/?x=1#y']) {
      await page.goto(`${server.url}${place}`);
      await page.locator('h1').first().waitFor();
    }
    await close();
  });
});

test('a host that demands trusted types, and names the policies that it allows, has the offline copy too', async () => {
  const demanded = "require-trusted-types-for 'script'; trusted-types svelte-trusted-html topk-lm topk-lm-site";
  assert.ok(fs.readFileSync(inRoot('docs/hosting.md'), 'utf8').includes('`trusted-types svelte-trusted-html topk-lm topk-lm-site`'));
  const server = await serve({ '/': paths.site }, { headers: { 'content-security-policy': demanded } });
  const browser = await launch({ webgpu: false });
  try {
    const { page, close } = await openPage(browser, `${server.url}?backend=cpu#/explore`, { ignore: [/TrustedScriptURL/] });
    assert.equal(await loaded(page), 'cpu');
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await close();
  } finally {
    await browser.close();
    await server.close();
  }
});

describe('published under a path', { timeout: 1_800_000 }, () => {
  const PATH = '/some/path/';
  let folder;
  let server;
  before(async () => {
    // As static hosts do it: what is not there is answered with 404.html, at any depth.
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-published-'));
    const answer = (request, response) => {
      const file = request.url.split(/[?#]/)[0].slice(PATH.length);
      if (!request.url.startsWith(PATH) || file === '' || fs.existsSync(path.join(paths.site, decodeURIComponent(file)))) return false;
      response.writeHead(404, { 'content-type': 'text/html; charset=utf-8' }).end(fs.readFileSync(path.join(folder, '404.html')));
      return true;
    };
    server = await serve({ [PATH]: paths.site }, { intercept: answer });
  });
  after(async () => {
    await server?.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('an address that does not exist has a page of its own, which leads back from any depth', async () => {
    const start = `${server.url}${PATH.slice(1)}`;
    const before = process.env.SITE_URL;
    process.env.SITE_URL = start;
    try {
      writeHostFiles(folder);
    } finally {
      if (before === undefined) delete process.env.SITE_URL;
      else process.env.SITE_URL = before;
    }
    assert.match(fs.readFileSync(path.join(folder, '.htaccess'), 'utf8'), /^ErrorDocument 404 \/some\/path\/404\.html$/m);
    assert.match(fs.readFileSync(path.join(folder, 'nginx-headers.conf'), 'utf8'), /^error_page 404 \/some\/path\/404\.html;$/m);
    const browser = await launch({ webgpu: false });
    try {
      const { page, close } = await openPage(browser, `${start}no/such/page`, { ignore: [/404/] });
      await page.getByRole('heading', { name: 'Page not found' }).waitFor();
      await page.getByRole('link', { name: 'its home page' }).click();
      await page.waitForURL(start);
      await page.locator('main[data-page]').waitFor();
      await close();
    } finally {
      await browser.close();
    }
  });

  test('without an address given, the page leads to the folder it is in, under the same rules', () => {
    const text = fs.readFileSync(path.join(paths.site, '404.html'), 'utf8');
    assert.match(text, /Content-Security-Policy/);
    assert.match(text, process.env.SITE_URL ? /href="http/ : /href="\.\/"/);
  });
});
