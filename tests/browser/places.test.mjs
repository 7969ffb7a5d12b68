// Work and place are kept from page to page: the navigation leads to a page as it was left, the step back to where one was on it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  addressHas,
  STEP_TIMEOUT,
  assertCount,
  drawn,
  eventually,
  loaded,
  offeredModels,
  openSite,
  shippedModel,
  withSite,
} from './page-kit.mjs';

const model = shippedModel();
const twin = offeredModels().find(({ name }) => name === model.dense_twin);

describe('work and place, from page to page', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  async function visit(hash, work) {
    const { page, close } = await openSite(browser, site, hash);
    page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await work(page);
    } finally {
      await close();
    }
  }
  const goTo = async (page, link) => {
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: link }).click();
    await page.locator(`main[data-page=${link.toLowerCase()}]`).waitFor();
  };
  const chips = (page) => page.getByRole('list', { name: 'Edits' }).getByRole('listitem');
  const params = (page) => page.evaluate(() => Object.fromEntries(new URLSearchParams(location.hash.split('?')[1])));

  test('the navigation leads back to the text and the edits of the same model', { skip: !twin && 'the twin is not offered' }, async () => {
    await visit('#/explore', async (page) => {
      await loaded(page);
      const box = page.getByRole('textbox', { name: 'Text' });
      for (const text of ['Hello little dog', 'Goodbye old friend']) {
        await page.evaluate((to) => (location.hash = `#/explore?p=${encodeURIComponent(to)}`), text);
        assert.equal(
          await eventually(
            () => box.inputValue(),
            (typed) => typed === text,
          ),
          text,
        );
      }
      await box.fill('The cat ran home');
      await page.waitForFunction(() => /[?&]t=/.test(location.hash));
      await goTo(page, 'Gallery');
      // A browser that takes no more changes for a while, ignores them or throws: the page goes on, and the bar follows.
      await page.evaluate(() => {
        let refused = 0;
        history.replaceState = () => {
          if (refused++ % 2 === 0) throw new DOMException('too many', 'SecurityError');
        };
      });
      for (const word of ['plural', 'plurals', 'plural']) {
        await page.getByRole('searchbox').fill(word);
        assert.equal(await page.getByRole('searchbox').inputValue(), word);
      }
      assert.equal((await params(page)).q, undefined);
      await page.evaluate(() => delete history.replaceState);
      await addressHas(page, 'q', 'plural');
      await goTo(page, 'Explore');
      assert.equal(await box.inputValue(), 'The cat ran home');
      await goTo(page, 'Gallery');
      assert.equal(await page.getByRole('searchbox').inputValue(), 'plural');
      await goTo(page, 'Explore');
      // Another model's ids and neurons are others.
      await page.getByRole('combobox', { name: 'Model' }).selectOption(twin.name);
      await goTo(page, 'Gallery');
      assert.equal(await page.getByRole('searchbox').inputValue(), '');
    });
  });

  test('a text too long for a link is there again, too', async () => {
    const text = 'The cat ran home. '.repeat(200).trim();
    await visit('#/steer', async (page) => {
      const prompt = page.getByRole('textbox', { name: 'Prompt' });
      await prompt.fill(text);
      await page.waitForFunction(() => history.state?.address?.includes('p='));
      await goTo(page, 'Gallery');
      await goTo(page, 'Steer');
      assert.equal(await prompt.inputValue(), text);
    });
  });

  test('a neuron is set alone, or beside the edits that Steer has', async () => {
    await visit('#/m/x/1/296', async (page) => {
      await page.getByRole('link', { name: 'Steer with this' }).waitFor();
      assert.equal(await page.getByRole('link', { name: 'Add to your edits' }).count(), 0);
      await page.getByRole('link', { name: 'Steer with this' }).click();
      await page.waitForFunction(() => /[?&]e=1\.296_/.test(location.hash));
      await page.getByRole('textbox', { name: 'Prompt' }).fill('The baby was tired, so');
      await page.waitForFunction(() => /[?&]p=The/.test(location.hash));
      const { e: first } = await params(page);
      await page.evaluate(() => (location.hash = '#/m/x/2/17'));
      await page.getByRole('link', { name: 'Add to your edits' }).click();
      await page.waitForFunction(() => /[?&]e=[^&]*2\.17_/.test(location.hash));
      const { e, p } = await params(page);
      assert.deepEqual([e.split('*')[0], e.split('*').length, p], [first, 2, 'The baby was tired, so']);
      await assertCount(chips(page), 2);
      // Once more, it is the edit that is there.
      await page.evaluate(() => (location.hash = '#/m/x/2/17'));
      await page.getByRole('link', { name: 'Add to your edits' }).click();
      await page.waitForFunction(() => /[?&]e=[^&]*2\.17_/.test(location.hash));
      await assertCount(chips(page), 2);
      await page.evaluate(() => (location.hash = '#/m/x/2/18'));
      await page.getByRole('link', { name: 'Steer with this' }).click();
      await page.waitForFunction(() => /[?&]e=2\.18_[^*]*(&|$)/.test(location.hash));
      await assertCount(chips(page), 1);
    });
  });

  // Of what is hidden, the top would be 0.
  const topOf = (locator) => locator.evaluate((element) => (element.checkVisibility() ? element.getBoundingClientRect().top : Number.NaN));

  test('the step back leads to the card that was followed in the gallery', async () => {
    await visit('#/gallery', async (page) => {
      await page.locator('[data-found]').waitFor();
      const link = page.locator('#main article').nth(20).getByRole('link').first();
      await link.scrollIntoViewIfNeeded();
      const [href, before] = [await link.getAttribute('href'), await topOf(link)];
      assert.ok((await page.evaluate(() => scrollY)) > 300, 'the page is scrolled');
      await link.click();
      await page.waitForFunction((there) => location.hash === there, href);
      await page.locator('main:not([data-page=gallery])').waitFor();
      const top = await eventually(
        () => page.evaluate(() => scrollY),
        (y) => y === 0,
      );
      assert.equal(top, 0, 'the next page begins at its top');
      await page.locator('main:focus').waitFor(); // the link is gone; the page’s title is said
      await page
        .getByRole('status')
        .getByText(/^(Layer \d+ neuron \d+|Steer)$/)
        .waitFor({ state: 'attached' });
      await page.goBack();
      await page.waitForFunction((href) => document.activeElement?.getAttribute('href') === href, href);
      const isWhereItWas = (top) => Math.abs(top - before) <= 2;
      assert.ok(isWhereItWas(await eventually(() => topOf(link), isWhereItWas)), 'it is where it was');
    });
  });

  test('on a phone a link that sets something leads to the texts, and the step back to the link', async () => {
    await visit('#/gallery', async (page) => {
      const isNear = (top) => top > -50 && top < 300;
      const open = async () => {
        await page.locator('[data-found]').waitFor();
        const link = page
          .locator('#main article')
          .nth(3)
          .getByRole('link', { name: /^Try it/ });
        await link.scrollIntoViewIfNeeded();
        const left = await page.evaluate(() => scrollY);
        await link.click();
        await page.locator('main[data-page=steer]').waitFor();
        return left;
      };
      const topOfTexts = () => topOf(page.locator('[data-pair]'));
      await page.setViewportSize({ width: 390, height: 844 });
      const left = await open();
      assert.ok(isNear(await eventually(topOfTexts, isNear)), 'the texts are in sight');
      // Once they are written the address has them: a page that is opened by it shows them first, but not by the step forward.
      await page.waitForFunction(() => /[?&]pl=/.test(location.hash));
      // The place is kept when the page tells that it scrolled, which it does with its next frame.
      await drawn(page);
      await page.evaluate(() => {
        globalThis.moved = [];
        addEventListener('scroll', () => document.querySelector('main[data-page=steer]') && moved.push(scrollY));
      });
      await page.goBack();
      await page.locator('main[data-page=gallery]').waitFor();
      assert.deepEqual(await page.evaluate(() => moved), [], 'the page that is left stays where it is');
      const isThere = (top) => Math.abs(top - left) <= 2;
      const scrolled = () => page.evaluate(() => scrollY);
      assert.ok(isThere(await eventually(scrolled, isThere)), 'the gallery is where it was left');
      await page.goForward();
      assert.ok(isNear(await eventually(topOfTexts, isNear)), 'so is Steer');
      await page.goBack();
      await page.locator('main[data-page=gallery]').waitFor();
      await page.setViewportSize({ width: 1280, height: 900 });
      await open();
      await page.locator('[data-evicted]').waitFor();
      await page
        .locator('[data-side=steered] .chip')
        .first()
        .waitFor({ timeout: 4 * STEP_TIMEOUT });
      assert.equal(await scrolled(), 0, 'on a wide screen it opens at its top');
    });
  });

  test('a page that was left before its texts came brings them into sight at the step forward', async () => {
    await visit('#/gallery', async (page) => {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.locator('[data-found]').waitFor();
      site.hold(/steered\.json/);
      const gallery = page.locator('main[data-page=gallery]');
      try {
        await page
          .locator('#main article')
          .nth(3)
          .getByRole('link', { name: /^Try it/ })
          .click();
        const texts = page.locator('main[data-page=steer] [data-pair]');
        await texts.waitFor({ state: 'attached' });
        assert.ok(!(await texts.isVisible()), 'they wait for what is held');
        await page.goBack();
        await gallery.waitFor();
      } finally {
        site.release();
      }
      await page.goForward();
      const isNear = (top) => top > -50 && top < 300;
      assert.ok(isNear(await eventually(() => topOf(page.locator('[data-pair]')), isNear)), 'the texts are in sight');
    });
  });

  test('a page that is loaded again, or is come back to from a guide, is where it was', async () => {
    await visit('#/gallery', async (page) => {
      const scrolled = () => page.evaluate(() => scrollY);
      const isThere = (top) => Math.abs(top - 1500) <= 2;
      for (const leave of [
        () => page.reload(),
        async () => {
          await page.goto(`${site.url}docs/guides/curious.html`);
          await page.goBack();
        },
      ]) {
        await page.locator('#main article').nth(8).waitFor();
        await page.evaluate(() => scrollTo(0, 1500));
        assert.ok(isThere(await eventually(scrolled, isThere)), 'the gallery is as high as that');
        await drawn(page);
        await leave();
        assert.ok(isThere(await eventually(scrolled, isThere)), 'it is there again');
      }
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'About' }).click();
      await page.locator('main[data-page=about]').waitFor();
      assert.equal(await scrolled(), 0, 'another page opens at its top');
    });
  });

  test('the step back leads to the row that was followed in the table of neurons', async () => {
    await visit('#/browse', async (page) => {
      await page.locator('[data-row]').first().waitFor();
      const table = page.locator('[data-scrolls]');
      await table.evaluate((element) => (element.scrollTop = 40_000));
      await page.locator('[data-row="1250"]').waitFor();
      const link = page.locator('[data-row="1255"]').getByRole('link').first();
      const href = await link.getAttribute('href');
      await link.click();
      await page.locator('main[data-page=neuron]').waitFor();
      await page.goBack();
      await page.waitForFunction((href) => document.activeElement?.getAttribute('href') === href, href);
      assert.ok(Math.abs((await table.evaluate(({ scrollTop }) => scrollTop)) - 40_000) < 300);
      // The place is not held against the reader.
      await table.hover();
      await page.mouse.wheel(0, -50_000);
      await page.locator('[data-row="0"]').waitFor();
    });
  });
});
