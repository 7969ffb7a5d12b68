// Measurements on the pages: About's figures next to those of the dense twin and an SAE, and the recipes with their price.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { collectClaims } from '../../scripts/lib/claims.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { WHOLE } from './measured-kit.mjs';
import { accessibilityFindings, assertUsable, openSite, shippedModel, siteModule, STEP_TIMEOUT, WEIGHTS, withSite } from './page-kit.mjs';

const rowOf = ({ facts }, name) => facts.find((fact) => fact.name === name)?.cells;
const groupOf = ({ groups }, title) => groups.find((group) => group.title === title);

test('figures by name for TopK, dense and SAE; a cost too small to measure is no number', async () => {
  const { claimsOf } = await siteModule('claims.ts');
  const claims = claimsOf(WHOLE);
  // The main figures in sentences.
  assert.equal(claims.lead.length, 11);
  assert.match(claims.lead[0], /held-out stories by 4\.6 %/);
  assert.match(claims.lead[1], /F1 of 0\.25 .*rotated \(0\.06\).*twin’s coordinates \(0\.02\)/);
  assert.match(claims.lead[2], /active at far fewer positions than those\. Compared at .*strongest 3 %.* F1 is 0\.39, 0\.39 and 0\.39/);
  assert.match(
    claims.lead[3],
    /at 0\.4 % of the positions, where neurons do best, F1 is 0\.58 for neurons, 0\.42 .* rotated, 0\.25 for coordinates and 0\.12 for SAE features/,
  );
  const sharp = groupOf(claims, 'Where a unit is strong');
  assert.deepEqual(
    [sharp.columns, rowOf(sharp, 'dense coordinates'), rowOf(sharp, 'SAE features')],
    [
      ['0.4 %', '3.2 %'],
      ['0.25', '–'],
      ['0.12', '–'],
    ],
  );
  assert.match(
    claims.lead[4],
    /after block 4, move its next word 97 % of the way .*coordinates of the twin 96 %, eight SAE features 95 %, .*rotated, 94 %/,
  );
  assert.match(
    claims.lead[5],
    /^209 times a neuron turns .* stay readable; after new prompts 36 % still do, and 99\.0 % turn it the same way .*: 0 % and 54\.0 %/,
  );
  assert.match(claims.lead[7], /eight neurons bring up 50 %.*twin bring up 5 %, one neuron alone 0 %/);
  assert.match(claims.lead[8], /SAE on the twin bring up 55 %, one alone 45 %\. .*not the best lever.*without any neuron, brings up 100 %/);
  assert.match(
    claims.lead[9],
    /^At the price of 0\.4 nats per token, up to eight neurons bring 2\.40 words .*, as many features 1\.20, coordinates of the twin 0\.60\. .*wrote none of the texts, neurons and features bring 3\.30 and 3\.10 words\.$/,
  );
  assert.deepEqual(rowOf(groupOf(claims, 'The paper’s claims, one by one'), 'Stays able'), ['partly', '+2.5 % of loss']);
  const emerged = groupOf(claims, 'When neurons take on their meaning');
  assert.deepEqual(
    [emerged.columns, rowOf(emerged, 'Before training (chance)')],
    [
      ['TopK', 'dense'],
      ['0.3 %', '–'],
    ],
  );
  assert.deepEqual(rowOf(emerged, 'By step 312'), ['12.0 %', '1.0 %']);
  assert.match(emerged.note, /21 % of the neurons are not settled/);
  assert.match(emerged.note, /Until step 240 the model was trained with a larger k/);
  // Where no step was analyzed before that, it does not matter.
  const { trace } = WHOLE;
  const late = claimsOf({ ...WHOLE, trace: { ...trace, topk: { ...trace.topk, steps: [240, 312, 928] } } });
  assert.doesNotMatch(groupOf(late, 'When neurons take on their meaning').note, /larger k/);
  assert.deepEqual(rowOf(groupOf(claims, 'Compute and size'), 'TopK, as shipped'), ['2.24', '15 %', '2.654', '1,762']);
  const wide = groupOf(claims, 'Wide, sparse settings on a small proxy model');
  assert.deepEqual(
    wide.facts.map(({ name, cells }) => [name, ...cells]),
    [['k48', '3.706', '+2.1 %', '+2.4 %']],
  );
  const reads = groupOf(claims, 'What a unit reads, and what would refute it');
  assert.deepEqual(rowOf(reads, 'TopK neurons'), ['3.52', '0.25 (0.00)', '0.39', '80 %', '0.58 (0.01)']);
  assert.deepEqual(rowOf(reads, 'token embedding alone').at(-1), '–');
  assert.deepEqual(
    reads.facts.map(({ name }) => name),
    ['TopK neurons', 'the same states, rotated', 'token embedding alone', 'dense coordinates', 'SAE TopK, k = 48, after block 4'],
  );
  assert.match(reads.note, /256 units a block and 132,000 tokens/);
  assert.deepEqual(rowOf(groupOf(claims, 'Does another seed find the same neurons?'), 'its neurons of the same index'), [
    '0.01',
    '0 %',
    '–',
  ]);
  const patched = groupOf(claims, 'How few units decide the next word?');
  assert.deepEqual(rowOf(patched, 'dense coordinates'), ['1,024', '60 %', '60 %', '90 %', '96 %', '384']);
  assert.deepEqual(rowOf(patched, 'SAE features').at(-1), '–');
  assert.match(patched.note, /after block 4.*over 50 pairs.*80 % of what the model’s whole state does/);
  const turned = groupOf(claims, 'Do single neurons turn a contrast?');
  assert.deepEqual(rowOf(turned, 'neurons of the Gallery'), ['209', '99.0 %', '1.31', '36 %', '4']);
  assert.deepEqual(rowOf(turned, 'switches among them'), ['3', '99.0 %', '2.50', '67 %', '0']);
  assert.deepEqual(rowOf(turned, 'random neurons'), ['209', '54.0 %', '−0.02', '0 %', '0']);
  assert.match(turned.note, /\(55 contrasts\)/);
  assert.match(
    claims.lead[10],
    /bits per byte 0\.968 → 0\.882; .* 72 % → 97 % right\) and at switches \(3 → 14\), .*F1 0\.25 → 0\.18.*85 % → 35 %/,
  );
  assert.match(
    claims.lead.find((sentence) => sentence.startsWith('Steer finds')),
    /104 pairs \(803 in all\) 100\.0 % turn it the same way .* by 97 % of what .* \(random neurons: 50\.4 % the same way\)\. Coordinates .*\(99\.9 %, by 93 %\), but .* by 0\.9 nats where neurons do by 3\.0\.$/,
  );
  const ahead = groupOf(claims, 'Neurons that predict later words');
  assert.deepEqual(
    ahead.facts.map(({ name, definition, cells }) => [name, definition, ...cells]),
    [
      ['weight 0.3, wide', 'Setting wide, 30 million tokens.', '0.942', '0.35', '73 %', '7', '14'],
      ['another', 'Setting unmeasured, 80 million tokens.', '–', '–', '–', '–', '–'],
    ],
  );
  const trained = groupOf(claims, 'What does longer training do?');
  assert.deepEqual(
    [trained.columns, rowOf(trained, 'which object')],
    [
      ['short', 'long'],
      ['72 %', '97 %'],
    ],
  );
  assert.deepEqual(rowOf(trained, 'of another kind'), ['–', '–']);
  const saes = groupOf(claims, 'Sparse autoencoders on the dense twin');
  assert.deepEqual(
    saes.facts.map(({ name }) => name),
    ['SAE TopK, k = 48, after block 4', 'SAE TopK, k = 48, after block 4, another seed', 'SAE JumpReLU, k = 48, after block 4'],
  );
  assert.deepEqual(rowOf(saes, 'SAE JumpReLU, k = 48, after block 4'), ['48', '91.3 %', '1.2 %', '+0.240']);
  assert.deepEqual(rowOf(groupOf(claims, 'Who is who, and who has what'), 'TopK, sentences shuffled'), ['61 %', '–', '–']);
  const few = groupOf(claims, 'Steering with a few neurons');
  assert.deepEqual(
    few.facts.map(({ name }) => name),
    [
      '1 neuron',
      'up to 8 neurons',
      'up to 8 random neurons',
      'up to 8 coordinates of the twin',
      '1 SAE feature',
      'up to 8 SAE features',
      'a sentence before the prompt',
      'raised logits, no neuron',
    ],
  );
  assert.deepEqual(rowOf(few, 'up to 8 neurons'), ['3.20', '1.25', '2.40', '50 %', '0.90']);
  assert.deepEqual(rowOf(few, 'raised logits, no neuron')[2], '–');
  const judged = groupOf(claims, 'The same lists, by other judges');
  assert.deepEqual(judged.columns, ['the twin, +0.2', 'the twin, +0.4', 'Dense 22M, +0.2', 'Dense 22M, +0.4']);
  assert.deepEqual(rowOf(judged, 'up to 8 neurons'), ['2.20', '2.40', '1.80', '3.30']);
  assert.deepEqual(rowOf(judged, 'up to 8 SAE features').slice(2), ['1.40', '3.10']);
  const freed = groupOf(claims, 'Lists that are let go');
  assert.deepEqual(
    freed.facts.map(({ name }) => name),
    ['up to 8 neurons', 'raised logits, no neuron'],
  );
  assert.deepEqual(rowOf(freed, 'up to 8 neurons'), ['2.20', '3.10', '2.40', '3.90', '1.20']);
  assert.deepEqual(rowOf(freed, 'raised logits, no neuron'), ['–', '2.80', '–', '–', '0.70']);
  assert.match(freed.note, /the first 12 of 60 new tokens/);
  assert.match(few.note, /Without edits, a text has 0\.18 words of its topic\./);
  const quality = groupOf(claims, 'Language modeling');
  assert.deepEqual(rowOf(quality, 'Cost of 8-bit weights'), ['under 0.001', 'under 0.001']);
  assert.match(quality.note, /\+4\.3 % on validation, \+4\.6 % on held-out|\+4\.2 % on validation, \+4\.6 % on held-out/);
  assert.match(
    quality.note,
    /f16 weights\)\. With the 8-bit files that ship it is \+4\.7 % on held-out stories\. The cost .* but the head\.$/,
  );
  const steering = groupOf(claims, 'Steering with one coordinate');
  assert.deepEqual(rowOf(steering, 'At any surprise'), ['65 %', '65 %', '65 %']);
  assert.deepEqual(rowOf(steering, 'Raising the words’ logits instead'), ['80 %', '–', '–']);
  assert.match(steering.note, /measured by D\.$/);
  assert.deepEqual(rowOf(groupOf(claims, 'TopK settings on a small proxy model'), 'k = 32'), ['3.097', '+4.6 %', '3.20']);
  const across = groupOf(claims, 'Final meaning already present, layer 2');
  assert.deepEqual(rowOf(across, 'Step 928'), ['40 %', '20 %', '40 %', '10 %']);
  assert.deepEqual(rowOf(across, 'Final step, another seed'), ['–', '30 %', '50 %', '–']);
  assert.deepEqual(claims.gaps, []);
  const everything = JSON.stringify(claims);
  assert.doesNotMatch(everything, /640","3200|NaN|undefined|0\.0000/);
});

test('the findings at a glance are those of the README, each beside its controls', async () => {
  const { claimsOf } = await siteModule('claims.ts');
  const { glance } = claimsOf(collectClaims(inRoot('training/claims/results')));
  const cells = (line) => line.split('|').slice(2, 4).join(' ');
  const figures = (text) => text.match(/\d+\.?\d*(?: %)?(?=\*| ·| *$| {2})/g) ?? [];
  const readme = fs.readFileSync(inRoot('README.md'), 'utf8').split('\n');
  const rows = readme.filter((line) => /^\| \*\*.*\?\*\* /.test(line));
  assert.equal(rows.length, 6); // one question of the page is two rows there
  assert.deepEqual(
    rows.flatMap((line) => figures(cells(line).trim())).sort(),
    glance.flatMap(({ bars }) => bars.map(({ text }) => text)).sort(),
  );
  for (const { question, bars } of glance) {
    assert.ok(
      readme.some((line) => line.includes(`**${question}**`)),
      question,
    );
    assert.ok(bars.some(({ isOurs }) => isOurs) && bars.some(({ isOurs }) => !isOurs), question);
    assert.ok(bars.every(({ value }) => value >= 0 && value <= 1));
  }
});

test('what is not measured is named, and has no column or row', async () => {
  const { claimsOf } = await siteModule('claims.ts');
  const alone = claimsOf({ quality: { topk: WHOLE.quality.topk }, controls: { rows: { topk: WHOLE.controls.rows.topk } } });
  assert.deepEqual(groupOf(alone, 'Language modeling').columns, ['TopK']);
  assert.deepEqual([alone.lead, alone.glance], [[], []]);
  assert.equal(groupOf(alone, 'What a unit reads, and what would refute it').facts.length, 1);
  for (const what of [/dense twin’s loss/, /sparse autoencoders/, /dense twin’s coordinates/, /lists of neurons/, /another seed/])
    assert.ok(
      alone.gaps.some((gap) => what.test(gap)),
      String(what),
    );
  const nothing = claimsOf({});
  assert.deepEqual(nothing.groups, []);
  assert.ok(nothing.gaps.length >= 8);
});

test('a query of the table is fitted to the model', async () => {
  const browse = await siteModule('browse.ts');
  const asked = { ...browse.DEFAULT_QUERY, layer: 5, maxEmergence: 300, end: 'lowest', minDensity: 0.1, sort: 'density', descending: true };
  const fitted = (index) => {
    const query = browse.queryFor(index, asked);
    return [query.layer, query.maxEmergence, query.end, query.minDensity, browse.orderOf({ columns: {}, ...index }, query, false).sort];
  };
  assert.deepEqual(fitted({ layers: [0, 1], steps: [100, 200], kind: 'topk' }), [null, 200, null, 0.1, 'density']);
  assert.deepEqual(fitted({ layers: [0, 5], steps: [400], kind: 'dense' }), [5, null, 'lowest', null, 'tokenEntropy']);
});

describe('measured, on the pages', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let claims = JSON.stringify(WHOLE);
  let site;
  let browser;

  const intercept = (request, response) => {
    if (!request.url.endsWith('/models/claims.json')) return false;
    if (claims === null) response.writeHead(404).end();
    else if (claims === 'lost') response.writeHead(503).end();
    else response.setHeader('content-type', 'application/json').end(claims);
    return true;
  };
  withSite({ hash: null, serve: { intercept }, hold: WEIGHTS }, (on) => {
    ({ site, browser } = on);
  });

  /** They are folded: what opens them. */
  const tables = (page) => page.getByText('All measurements, in tables');

  async function about(work, options) {
    const opened = await openSite(browser, site, '#/about', options);
    opened.page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await work(opened.page);
    } finally {
      await opened.close();
    }
  }

  test('About shows the main findings as bars, and all of them as tables', () =>
    about(async (page) => {
      const topics = page.locator('[data-glance="Can you steer towards a topic?"]');
      await topics.getByRole('listitem').first().waitFor();
      assert.deepEqual(await topics.getByRole('listitem').allInnerTexts(), [
        'up to eight neurons\n50 %',
        'one neuron\n0 %',
        'up to eight SAE features on the twin\n55 %',
        'up to eight coordinates of the twin\n5 %',
        'the words’ logits raised, without any neuron\n100 %',
      ]);
      await tables(page).click();
      const table = page.getByRole('table', { name: 'What a unit reads, and what would refute it' });
      await table.waitFor();
      assert.deepEqual(
        await table
          .getByRole('row', { name: /^TopK neurons/ })
          .getByRole('cell')
          .allInnerTexts(),
        ['3.52', '0.25 (0.00)', '0.39', '80 %', '0.58 (0.01)'],
      );
      // What its rows are is there to be read, not only to be pointed at.
      const group = page.locator('.group').filter({ has: table });
      await group.getByText('Definitions').click();
      await group.getByText('Control: a table of tokens without any context.').waitFor();
      assert.equal(await page.locator('[data-gaps]').count(), 0);
      await assertUsable(page);
    }));

  test('About says what has not been measured, and that nothing was', async () => {
    claims = JSON.stringify({ quality: { topk: WHOLE.quality.topk } });
    await about(async (page) => {
      await tables(page).click();
      await page.getByText(/Not measured yet: .*the dense twin’s loss/).waitFor();
      await page.getByText(/has not been measured yet/).waitFor();
    });
    claims = null;
    const ignore = [/404/];
    await about((page) => page.getByText('This build includes no measurements').waitFor(), { ignore });
    claims = 'lost';
    await about((page) => page.getByText('The measurements could not be read: the server responded with 503.').waitFor());
  });

  test('About as it is built shows the results that there are', async (t) => {
    const file = path.join(paths.site, 'models/claims.json');
    if (!fs.existsSync(file)) return t.skip('no results in training/claims/results');
    claims = fs.readFileSync(file, 'utf8');
    await about(async (page) => {
      await page.locator('[data-facts]:not([data-facts="0"])').waitFor();
      await tables(page).click();
      const text = await page.locator('[data-facts]').innerText();
      assert.doesNotMatch(text, /NaN|undefined|null|\d\.\d{5}/);
      const { claimsOf } = await siteModule('claims.ts');
      for (const { title, facts } of claimsOf(JSON.parse(claims)).groups)
        assert.equal(new Set(facts.map(({ name }) => name)).size, facts.length, `${title}: every row has a name of its own`);
      assert.deepEqual(await accessibilityFindings(page), []);
    });
  });

  test('recipes: the gentle ones apart from the strong ones, each with its rates and its price', async (t) => {
    const has = model.read('manifest.json').files.some(({ path: name }) => name === 'recipes.json');
    if (!has) return t.skip('the shipped model has no recipes.json');
    const recipes = model.read('recipes.json');
    const { shortName } = await siteModule('models.ts');
    assert.ok(recipes.length >= 5, `${recipes.length} recipes`);
    const opened = await openSite(browser, site, '#/steer');
    const { page } = opened;
    page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await page.getByRole('heading', { name: 'Measured recipes' }).waitFor();
      await page.getByRole('button', { name: `Show all ${recipes.length}` }).click();
      for (const [kind, mine] of [
        ['gentle', recipes.filter(({ gentle }) => gentle)],
        ['strong', recipes.filter(({ gentle }) => !gentle)],
      ]) {
        const texts = await page.locator(`[data-recipes=${kind}]`).getByRole('button').allInnerTexts();
        assert.equal(texts.length, mine.length, kind);
        for (const [place, { concept, nll_ratio: ratio, steered_rate: steered }] of mine.entries()) {
          assert.ok(texts[place].startsWith(concept[0].toUpperCase() + concept.slice(1)));
          assert.ok(texts[place].includes(`${ratio.toFixed(2)} ×`), texts[place]);
          assert.ok(texts[place].includes(steered.toFixed(steered < 10 ? 1 : 0)), texts[place]);
          assert.equal(kind === 'gentle', ratio <= 1.3 + 1e-9);
        }
      }
      const judge = await page.getByText(/how much more surprising/).innerText();
      assert.ok(judge.includes(shortName(recipes[0].judge)), judge);
      await assertUsable(page);
    } finally {
      await opened.close();
    }
  });
});
