// A call of the engine that fails, and what nobody has read yet: no page waits for ever, or shows what was read before as if it were of now.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import {
  LOAD_TIMEOUT,
  STEP_TIMEOUT,
  WEIGHTS,
  assertUsable,
  eventually,
  loaded,
  openSite,
  pageTime,
  shippedModel,
  shown,
  withSite,
  ranked,
} from './page-kit.mjs';

const model = shippedModel();

/** From now on the engine has no memory for calls of this name, until `await page.evaluate(() => mend())`; the model stays. */
const breakCalls = (page, method) =>
  page.evaluate((name) => {
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (message, ...rest) {
      if (message.type !== 'call' || message.method !== name) return postMessage.call(this, message, ...rest);
      const error = { code: 'out-of-memory', message: 'There is no memory for it.' };
      setTimeout(() => this.dispatchEvent(new MessageEvent('message', { data: { type: 'error', id: message.id, error } })));
    };
    globalThis.mend = () => (Worker.prototype.postMessage = postMessage);
  }, method);

describe('what could not be read', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  let page;
  withSite({ load: true }, (on) => {
    ({ site, browser, page } = on);
  });
  afterEach(() => page.evaluate(() => globalThis.mend?.()));
  const go = (hash) => page.evaluate((to) => (location.hash = to), hash);
  const failed = () => page.getByRole('alert').getByText('There is no memory for it.').waitFor();

  test('Explore: what was read before is gray, and not said to be of the text in the box', async () => {
    await page.locator('[data-state=live]').waitFor();
    const tokens = page.getByRole('listbox', { name: 'The text' });
    const before = await tokens.innerText();
    await breakCalls(page, 'run');
    await go('#/explore?p=The+cow+said+hello');
    await failed();
    await page.getByText('Yours could not be read. This is still what was read before.').first().waitFor();
    assert.equal(await tokens.innerText(), before);
    for (const part of [tokens, page.getByRole('table', { name: /one row per token/ }), page.locator('canvas[data-network]')])
      assert.equal(await part.locator('xpath=ancestor::*[contains(@class, "grayed")]').count(), 1);
    assert.equal(await page.getByText('computed here').count(), 0);
    // A model that is there need not be loaded.
    await go(`#/explore?t=AQID`);
    await page.getByText('This text could not be read.').first().waitFor();
    assert.equal(await page.getByText('Load the model to').count(), 0);
    await page.evaluate(() => globalThis.mend());
    await go('#/explore?p=The+cow+said');
    await page.getByText('computed here').first().waitFor();
    assert.equal(await page.locator('.grayed').count(), 0);
  });

  test('Explore: a neuron that cannot be set is not said to be running', async () => {
    await go('#/explore');
    await page.locator('canvas[data-network=whole]').waitFor();
    await breakCalls(page, 'run');
    await go(`#/explore?n=${model.read('examples/0.json').layers[1].layer}.7&set=9`);
    await page.getByText('It could not be run with this value.').waitFor();
    assert.equal(await page.getByText('Running with it').count(), 0);
    await page.evaluate(() => globalThis.mend());
  });

  test('Start: words that cannot be continued are said to be so', {
    skip: !model.start && 'the shipped model has no start.json',
  }, async () => {
    await go('#/');
    await shown(page, 'start');
    await breakCalls(page, 'run');
    await page.getByRole('textbox', { name: /continues your words/ }).fill('The cow said');
    await page.getByText('The model could not continue your words.').waitFor();
    assert.equal(await page.getByText('The model is writing').count(), 0);
    await page.evaluate(() => globalThis.mend());
    await page.getByRole('textbox', { name: /continues your words/ }).fill('The cow went');
    await page.locator('[data-origin=live][data-old=false]').waitFor();
  });

  test('Start: of the neurons at the last word, those that are active are counted', { skip: !model.start }, async () => {
    const box = page.getByRole('textbox', { name: /continues your words/ });
    const note = page.locator('.list .note');
    for (const words of ['The cow went', 'Once upon a time', 'It']) {
      await box.fill(words);
      await page.locator('[data-origin=live][data-old=false]').waitFor();
      const bars = page.locator('.list svg rect');
      const others = (await bars.count()) - 1; // one is of the neuron that is set, at any value
      const isSet = (await page.locator('.list svg rect.out').count()) === 0;
      const text = await note.innerText();
      const [, counted, added] = /the (\d+) of [\d,]+ neurons that are active(, and the one that you set)?$/.exec(text) ?? [];
      assert.equal(Number(counted) + Number(added !== undefined), others + Number(isSet), text);
    }
  });

  test('About: the picture of another text is gray until it is of the one in the box; a layer that is chosen is drawn', async () => {
    await go('#/about');
    await shown(page, 'about');
    const box = page.getByLabel('Text (its last token is shown)');
    const picture = page.locator('[data-old]');
    await box.fill('The cat sat');
    await page.locator('[data-old=false]').waitFor();
    await page.getByText(/at “sat”/).waitFor();
    await box.fill('');
    await page.getByText('the picture is still that of “The cat sat”').waitFor();
    assert.equal(await picture.getAttribute('data-old'), 'true');
    assert.match(await picture.getAttribute('class'), /grayed/);
    await box.fill('The cat sat');
    await page.locator('[data-old=false]').waitFor();
    const layer = page.locator('.own select');
    const other = (await layer.inputValue()) === '0' ? 1 : 0;
    await layer.selectOption(String(other));
    await page.getByText(`Before TopK: layer ${other}, at “sat”`).waitFor();
    await page.locator('[data-old=false]').waitFor();
    await breakCalls(page, 'run');
    await box.fill('The cat ran');
    await failed();
    assert.equal(await picture.getAttribute('data-old'), 'true');
    await page.evaluate(() => globalThis.mend());
    await box.fill('The cat ran to');
    await page.locator('[data-old=false]').waitFor();
  });

  test('About: the race keeps the keyboard', async () => {
    const race = page.getByRole('button', { name: 'Race', exact: true });
    await race.focus();
    await page.keyboard.press('Enter');
    await page.locator('[data-race=cpu]').waitFor();
    await page.locator('button:focus', { hasText: /^Race$/ }).waitFor();
  });

  test('About: a shape that was chosen stays, whatever model comes', async () => {
    const shapes = page.getByLabel('Rows × width, and k');
    await shapes.selectOption({ label: '4,096 × 2,048, k = 32' });
    const [first] = await shapes.locator('option').allInnerTexts();
    assert.match(first, /this model/);
    const dense = model.dense_twin;
    await page.getByRole('combobox', { name: 'Model' }).selectOption(dense);
    await shapes.locator('option', { hasText: 'this model' }).waitFor({ state: 'detached' });
    assert.equal(await shapes.locator('option:checked').innerText(), '4,096 × 2,048, k = 32');
    await page.getByRole('combobox', { name: 'Model' }).selectOption(model.name);
    await loaded(page);
  });

  test('Gallery: the link to another model keeps the keyboard where it was', { skip: !model.dense_twin && 'it has no twin' }, async () => {
    await go(`#/gallery?model=${model.dense_twin}`);
    const link = page.getByRole('link', { name: /^Show that of/ });
    await link.focus();
    await page.keyboard.press('Enter');
    await link.waitFor({ state: 'detached' });
    await page.locator('a:focus', { hasText: 'How this is measured' }).waitFor();
    await loaded(page);
  });

  test('by keyboard one stays at a part of “After the token” while the model comes', async () => {
    site.hold(WEIGHTS);
    const own = await openSite(browser, site);
    try {
      await own.page.locator('[data-state=stored]').waitFor();
      const part = own.page.locator('summary', { hasText: 'What comes next' });
      await part.focus();
      await own.page.keyboard.press('Enter');
      await own.page.getByText('Available once the model is loaded.').waitFor();
      site.release();
      await loaded(own.page);
      await own.page.getByRole('table', { name: 'Most likely next tokens' }).waitFor();
      await own.page.locator('summary:focus', { hasText: 'What comes next' }).waitFor();
    } finally {
      site.release();
      await own.close();
    }
  });
});

describe('what is not asked for', { timeout: 1_800_000 }, () => {
  let site;
  let page;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  test('of a model on another site nothing is said to be read before the reader agrees', async () => {
    const elsewhere = encodeURIComponent('https://models.example/one/');
    const outside = [];
    const opened = await openSite(browser, site, `#/m/${elsewhere}/1/3`);
    ({ page } = opened);
    page.setDefaultTimeout(STEP_TIMEOUT);
    page.on('request', (request) => request.url().includes('models.example') && outside.push(request.url()));
    try {
      await page.getByText('This link uses a model from another site').waitFor();
      await page.getByText('Its statistics come with the model, which is not downloaded yet.').waitFor();
      assert.equal(await page.getByText('Loading its statistics.').count(), 0);
      await page.evaluate((to) => (location.hash = to), `#/explore?model=${elsewhere}&t=AQID&n=1.3`);
      await page.locator('main[data-page=explore]').waitFor();
      assert.equal(await page.getByText('Loading its statistics.').count(), 0);
      await page.evaluate((to) => (location.hash = to), `#/gallery?model=${elsewhere}`);
      await page.getByText('The cards come with the model, which is not downloaded yet.').waitFor();
      assert.equal(await page.getByText('Reading…').count(), 0);
      assert.deepEqual(outside, []);
    } finally {
      await opened.close();
    }
  });

  test('About is whole where the list of models cannot be had', async () => {
    const intercept = (route) => route.fulfill({ status: 503 });
    const opened = await openSite(browser, site, '#/explore', { ignore: [/503/] });
    ({ page } = opened);
    page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await page.route(/\/models\/index\.json$/, intercept);
      await page.goto('about:blank');
      await page.goto(`${site.url}?backend=cpu#/about`);
      await page.getByText('The list of models could not be read').waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByRole('heading', { name: 'Offline' }).waitFor();
      await page.getByRole('button', { name: 'Delete all stored models' }).waitFor();
      await page.getByText('Cite', { exact: true }).waitFor();
      await page.unrouteAll();
      await page.getByRole('alert').getByRole('button').click();
      await page.getByRole('alert').waitFor({ state: 'detached' });
      await shown(page, 'about');
      await page.getByRole('heading', { name: 'Offline' }).waitFor();
    } finally {
      await opened.close();
    }
  });
});

describe('a model without statistics', { timeout: 1_800_000, skip: !model.features && 'the shipped model has none' }, () => {
  let page;
  // Without the list of its files, which names them.
  const intercept = (request, response) => {
    const isGone = request.url.includes(`/models/${model.name}/`) && /manifest\.json$|\/features\//.test(request.url);
    if (isGone) response.writeHead(404).end();
    return isGone;
  };
  withSite({ hash: '#/trace', serve: { intercept }, hold: WEIGHTS, ignore: [/404/] }, (on) => {
    ({ page } = on);
  });

  test('Trace: its loss alone is drawn, and nothing else is said to be', async () => {
    const loss = page.locator('figure', { hasText: 'Training loss' });
    await loss.waitFor();
    assert.match(await loss.getByRole('img').getAttribute('aria-label'), /^Training loss in nats per token over [\d,]+ steps\.$/);
    await loss.getByText('Numbers').click();
    assert.deepEqual(await loss.getByRole('columnheader').allInnerTexts(), ['step', 'loss (nats)']);
  });
});

describe('on a phone', { timeout: 1_800_000 }, () => {
  const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  let site;
  let page;
  withSite({ hold: WEIGHTS, context }, (on) => {
    ({ site, page } = on);
  });

  test('the bytes of a download are read beside whatever is said of it', async () => {
    const bar = page.locator('.notice.bar');
    const number = bar.locator('.number');
    await number.getByText('MB of').waitFor();
    const lies = () =>
      number.evaluate((element) => {
        const { left, right } = element.getBoundingClientRect();
        const within = element.closest('.bar').getBoundingClientRect();
        const seen = document.elementFromPoint((left + right) / 2, element.getBoundingClientRect().top + 4);
        return left >= within.left && right <= within.right && seen === element;
      });
    // The longest that is said there.
    await bar.locator('.clip').evaluate((element) => (element.textContent = 'Reading model.safetensors from this browser’s storage'));
    assert.equal(await eventually(lies, Boolean), true);
  });

  test('the tour’s panel lies above the bar of the download, and the end of a card can be scrolled above both', async () => {
    await page.evaluate(() => (location.hash = '#/explore?tour=1'));
    await page.locator('[data-tour="1"]').waitFor();
    const apart = () =>
      page.evaluate(
        () =>
          document.querySelector('.notice.bar').getBoundingClientRect().top -
          document.querySelector('[data-tour]').getBoundingClientRect().bottom,
      );
    assert.ok((await eventually(apart, (distance) => distance >= 0)) >= 0, `${await apart()} px`);
    await ranked(page);
    const cell = page
      .getByRole('table', { name: /one row per token/ })
      .locator('.cell.current button')
      .first();
    await cell.evaluate((element) => element.click());
    const sheet = page.locator('.side.sheet');
    await sheet.getByRole('link', { name: 'Details' }).waitFor();
    const under = () =>
      sheet.evaluate((element) => {
        element.scrollTo(0, element.scrollHeight);
        return (
          element.querySelector('section').getBoundingClientRect().bottom -
          document.querySelector('[data-tour]').getBoundingClientRect().top
        );
      });
    assert.ok((await eventually(under, (over) => over <= 0)) <= 0, `${await under()} px under the panel`);
  });

  test('another example takes the card away', async () => {
    const sheet = page.locator('.side.sheet');
    await sheet.waitFor();
    await page.getByRole('button', { name: model.read('examples/index.json').texts[1].title }).evaluate((button) => button.click());
    await sheet.waitFor({ state: 'detached' });
  });

  test('Escape in a field, or while something is open over the page, leaves the tour; else it ends it', async () => {
    await page.locator('[data-tour="1"]').waitFor();
    await page.getByRole('textbox', { name: 'Text' }).focus();
    await page.keyboard.press('Escape');
    site.release();
    await loaded(page);
    await page.locator('[data-backend] > button').click();
    const open = page.locator('.sheet:popover-open');
    await open.waitFor();
    await page.keyboard.press('Escape');
    await open.waitFor({ state: 'detached' });
    await pageTime(page, 100);
    assert.equal(await page.locator('[data-tour]').count(), 1);
    await page.locator('#tour-title').focus();
    await page.keyboard.press('Escape');
    await page.locator('[data-tour]').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.documentElement.style.getPropertyValue('--tour')), '');
  });

  test('accessible, and fits', () => assertUsable(page));
});
