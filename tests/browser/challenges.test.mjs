// Challenges: each one that a model is shipped with has an answer that solves it when it is run here, a wrong answer does not, and a link is the proof.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertUsable, hashOf, offeredModels, openSite, shippedModel, STEP_TIMEOUT, siteModule, withSite } from './page-kit.mjs';

const { hintOf, isChallenge, taskOf } = await siteModule('challenges/file.ts');
const { findNeurons } = await siteModule('neuron-search.ts');
const { readMeasured } = await siteModule('measured.ts');
const { bestF1, judge } = await siteModule('challenges/judge.ts');
const model = shippedModel();
const challenges = model.challenges ? model.read('challenges.json').challenges : [];
const skip = challenges.length === 0 && 'the shipped model has no challenges.json';

test('every stored challenge is solved by its answer, and not by a neuron at random', { skip, timeout: 1_800_000 }, async () => {
  assert.ok(challenges.length >= 6, `${challenges.length} challenges`);
  const { TopKLM } = await import('topk-lm');
  const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
  const { signal } = new AbortController();
  const wrong = { guess: '0.0', find: '0.1', silence: '1.1_ablate_0', turn: '1.1_clamp_0.01', say: '1.1_clamp_0.01' };
  try {
    for (const challenge of challenges) {
      assert.ok(isChallenge(challenge), challenge.title);
      const said = await judge(engine, challenge, challenge.solution, signal);
      assert.ok(said.solved, `${challenge.title}: ${said.facts}`);
      const not = await judge(engine, challenge, wrong[challenge.kind], signal);
      assert.ok(!not.solved, `${challenge.title} is solved by ${wrong[challenge.kind]}: ${not.facts}`);
      assert.ok(taskOf(challenge).length > 20);
    }
    const set = challenges.find(({ kind }) => kind === 'say' || kind === 'turn');
    for (const [answer, sentence] of [
      ['nonsense', /one neuron/],
      [`${set.solution}*1.2_clamp_3`, /one neuron/],
      ['99.1_clamp_3', /no layer 99/],
      ['1.1_ablate_0', /set to a value/],
    ]) {
      const { solved, facts } = await judge(engine, set, answer, signal);
      assert.equal(solved, false);
      assert.match(facts[0], sentence);
    }
  } finally {
    await engine.dispose();
  }
});

/** As many as parts/steer/NeuronSearch.svelte lists. */
const LISTED = 12;

test('the search that a hint names lists a neuron that solves it', { skip, timeout: 1_800_000 }, async () => {
  const { TopKLM } = await import('topk-lm');
  const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
  try {
    const [index, measured] = [await engine.features.index(), await readMeasured(engine.features)];
    const vocabulary = await engine.tokenizer.tokens(Array.from({ length: engine.config.d_vocab }, (_, id) => id));
    for (const challenge of challenges.filter(({ kind }) => kind !== 'guess')) {
      const [, search] = /^Search for “(.+?)”/.exec(hintOf(challenge));
      const listed = findNeurons(index, vocabulary, search, LISTED, measured).map((neuron) => `${neuron.layer}.${neuron.index}`);
      assert.ok(listed.includes(/^\d+\.\d+/.exec(challenge.solution)[0]), `${challenge.title}: “${search}” lists ${listed}`);
    }
  } finally {
    await engine.dispose();
  }
});

describe('challenges on the page', { skip, timeout: 1_800_000 }, () => {
  let page;
  let site;
  let browser;
  withSite({ hash: '#/challenges', load: true }, (on) => {
    ({ page, site, browser } = on);
  });
  const verdict = (value) => page.locator(`[data-verdict=${value}]`).waitFor({ timeout: 2 * STEP_TIMEOUT });
  const openOne = async (challenge) => {
    await page.getByRole('navigation', { name: 'Challenges' }).getByRole('link', { name: challenge.title }).click();
    await page.locator(`[data-challenge=${challenge.id}]`).waitFor();
  };

  test('each is described, and answered with the page’s own form', async () => {
    const kinds = [...new Set(challenges.map(({ kind }) => kind))];
    for (const kind of kinds) {
      const challenge = challenges.find((each) => each.kind === kind);
      await openOne(challenge);
      await page.getByText(taskOf(challenge)).waitFor();
      if (kind === 'guess') {
        await page.locator('[data-snippets]:not([data-snippets="0"])').waitFor();
        const other = challenge.options.find((option) => option !== challenge.solution);
        await page.getByRole('button', { name: new RegExp(`^${other.replace('.', '\\.')} `) }).click();
        await verdict(false);
        await page.getByRole('button', { name: new RegExp(`^${challenge.solution.replace('.', '\\.')} `) }).click();
      } else {
        if (kind === 'find') await page.getByText('F1 is high only where the neuron is high at nearly all marked tokens').waitFor();
        if (kind !== 'say') await page.getByText('What the model reads and writes at a time').waitFor();
        await page.getByText('times the effect of the best of 100 random neurons').waitFor();
        if (kind === 'find') assert.match(await page.locator('[data-marked]').innerText(), /^Marked: “.+” at position \d+/);
        const neuron = /^\d+\.\d+/.exec(challenge.solution)[0];
        await page.getByRole('searchbox').fill(neuron);
        await page.getByRole('button', { name: 'Add' }).click();
        await page.locator(`[data-answer="${neuron}"]`).waitFor();
        if (kind === 'say' || kind === 'turn') {
          await page.locator('[data-verdict]').waitFor({ timeout: 2 * STEP_TIMEOUT });
          await page.getByRole('spinbutton', { name: 'Set to' }).fill(/clamp_(-?[\d.]+)/.exec(challenge.solution)[1]);
          await page.keyboard.press('Tab');
        }
      }
      await verdict(true);
      await assertUsable(page);
    }
    await page.getByText(`${kinds.length} of ${challenges.length} challenges solved.`).waitFor();
  });

  test('its link is the proof: elsewhere it is run again; one with another answer proves nothing', async () => {
    const [challenge] = challenges;
    await openOne(challenge);
    await page.getByRole('button', { name: 'Show a solution' }).click();
    await verdict(true);
    const { hash } = new URL(page.url());
    assert.deepEqual([hashOf(page).params.c, hashOf(page).params.a], [challenge.id, challenge.solution]);
    for (const [link, proves] of [
      [hash, true],
      [hash.replace(/a=[^&]*/, 'a=1.1_clamp_0.01'), false],
    ]) {
      const fresh = await openSite(browser, site, link);
      try {
        await fresh.page.locator(`[data-verdict=${proves}]`).waitFor({ timeout: 6 * STEP_TIMEOUT });
        assert.equal(await fresh.page.getByText(/challenges solved/).count(), 0, 'somebody else’s');
      } finally {
        await fresh.close();
      }
    }
  });

  test('a solution that was only shown is not counted as solved', async () => {
    const { id, title } = challenges.at(-1);
    const fresh = await openSite(browser, site, `#/challenges?c=${id}`);
    try {
      const mark = fresh.page.getByRole('link', { name: `${title} ✓ solved` });
      await fresh.page.getByRole('button', { name: 'Show a solution' }).click();
      for (const act of [() => {}, () => fresh.page.reload()]) {
        await act();
        await fresh.page.locator('[data-verdict=true]').waitFor({ timeout: 6 * STEP_TIMEOUT });
        await fresh.page.getByText('This solves it').waitFor();
        assert.equal(await mark.count(), 0);
        assert.equal(await fresh.page.getByText(/challenges solved/).count(), 0);
      }
    } finally {
      await fresh.close();
    }
  });

  test('an address that names what the model does not have says so', async () => {
    const go = (hash) => page.evaluate((to) => (location.hash = to), hash);
    await go('#/challenges?c=nothing-of-the-kind');
    await page.getByText('There is no challenge “nothing-of-the-kind” for this model. Here is the first.').waitFor();
    await go('#/challenges');
    await page.locator('[data-unknown]').waitFor({ state: 'detached' });
    await go('#/explore?n=99.3');
    await page.getByRole('alert').getByText('The link names the neuron 99.3. This model has no layer 99').waitFor();
    await go('#/explore?n=1.3');
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await go(`#/m/${shippedModel().name}/1/3?vs=1.999999`);
    await page.getByRole('alert').getByText('This model has no index 999999').waitFor();
  });

  test('a model without challenges says so', async () => {
    const other = offeredModels().find((each) => !each.challenges);
    if (!other) return;
    await page.evaluate((name) => (location.hash = `#/challenges?model=${name}`), other.name);
    await page.getByText('has no challenges').waitFor();
    await assertUsable(page);
  });
});

test('F1 at the best threshold; the first position does not count', () => {
  assert.deepEqual(bestF1([9, 5, 0, 4, 1], [1, 3]), { f1: 1, hits: 2, high: 2 });
  assert.deepEqual(bestF1([9, 1, 0, 4, 1], [1]), { f1: 0.5, hits: 1, high: 3 });
  assert.equal(bestF1([9, 0, -1], [2]).f1, 0);
});

test('what is no challenge is left out', () => {
  const good = { id: 'a', kind: 'silence', title: 't', solution: '1.1_ablate_0', prompt: 'p', token: ' a', search: 'a' };
  assert.equal(isChallenge(good), true);
  for (const change of [{ kind: 'sing' }, { token: 3 }, { id: null }, { prompt: undefined }, { search: undefined }])
    assert.equal(isChallenge({ ...good, ...change }), false);
});
