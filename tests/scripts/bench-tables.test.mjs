import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { plotSvg, ticks } from '../../benches/plots.mjs';
import { inTurn, rotated, spread } from '../../benches/rounds.js';
import { digits, markdownTable, modelTable, topkTable } from '../../benches/tables.mjs';
import { chooseLicenses } from '../../scripts/lib/licenses.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';

const ms = (median) => ({ median, p10: median, p90: median, runs: 1 });

test('median and percentiles', () => {
  assert.deepEqual(spread([5, 1, 3, 2, 4]), { median: 3, p10: 1.4, p90: 4.6, runs: 5 });
  assert.deepEqual(spread([7]), { median: 7, p10: 7, p90: 7, runs: 1 });
});

test('another one begins each round, and rounds of warm-up leave no samples', async () => {
  assert.deepEqual(rotated(['a', 'b', 'c'], 4), ['b', 'c', 'a']);
  const order = [];
  const times = await inTurn(['a', 'b'], { rounds: 2, warmUp: 1 }, async (member, round) => {
    order.push(`${member}${round}`);
    return { ms: round === 0 ? 1000 : round };
  });
  assert.deepEqual(order, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  assert.deepEqual(times.get('a'), { ms: { median: 1.5, p10: 1.1, p90: 1.9, runs: 2 } });
});

test('figures keep three digits', () => {
  assert.deepEqual([0, 0.01234, 1.234, 12.34, 123.4, 1234.5].map(digits), ['0', '0.0123', '1.23', '12.3', '123', '1,235']);
});

test('a table is Markdown', () => {
  assert.equal(
    markdownTable(
      ['', 'ms'],
      [
        ['one', '1'],
        ['three', '22'],
      ],
    ),
    '|       |  ms |\n|-------|----:|\n| one   |   1 |\n| three |  22 |',
  );
});

test('ratios are to the row of ours with the same weights; what did not run says why', () => {
  const table = modelTable(
    [
      { name: 'ours', beside: 'ours', agree: 4, of: 4, prefill_ms: ms(10), decode_ms: ms(2) },
      { name: 'peer', beside: 'ours', agree: 3, of: 4, prefill_ms: ms(15), decode_ms: ms(1) },
      { name: 'gone', beside: 'ours', problem: 'no such file' },
    ],
    128,
  );
  const cells = table.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  assert.deepEqual(cells[3], ['peer', '15.0 (1.50 ×)', '1.00 (0.50 ×)', '1,000', '–', '–', '3 of 4']);
  assert.deepEqual(cells[4], ['gone', '–', '–', '–', '–', '–', 'did not run: no such file']);
});

test('TopK has a row for each shape, and says below what is wrong', () => {
  const found = [
    { name: 'ours', ms: ms(1.5) },
    { name: 'wrong', ms: ms(3), problem: 'other values' },
    { name: 'gone', problem: 'no adapter' },
  ];
  const lines = topkTable([{ rows: 1, n: 8, k: 2, found }]).split('\n');
  assert.match(lines[2], /^\| 1 × 8, k 2 \| +1\.50 \| +3\.00\* \| +– \|$/);
  assert.deepEqual(lines.slice(3), ['', '* wrong: other values', '', '* gone: no adapter']);
});

test('axes: powers on a logarithmic one, round steps on a linear one', () => {
  assert.deepEqual(ticks(1, 1000, true), [1, 10, 100, 1000]);
  assert.deepEqual(ticks(16, 128, true), [16, 32, 64, 128]);
  assert.deepEqual(ticks(0, 10, false), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(0, 0.31, false), [0, 0.1, 0.2, 0.3]);
});

test('a plot puts its points where the axes say', () => {
  const svg = plotSvg({
    title: 'a < b',
    x: { label: 'tokens', log: true },
    y: { label: 'ms' },
    series: [
      {
        name: 'one',
        points: [
          [1, 0],
          [10, 5],
          [100, 10],
        ],
      },
    ],
  });
  assert.match(svg, /points="76,340 348,194 620,48"/);
  assert.match(svg, /a &lt; b/);
  assert.equal(svg.match(/<circle/g).length, 3);
});

test('other engines have licenses that are allowed here, exact versions, and a lock file that says so', () => {
  const read = (name) => JSON.parse(fs.readFileSync(inRoot('benches/peers', name), 'utf8'));
  for (const version of Object.values(read('package.json').dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
  const packages = Object.entries(read('package-lock.json').packages).filter(([folder]) => folder);
  assert.ok(packages.length > 10);
  for (const [folder, { license }] of packages) assert.ok(license && chooseLicenses(license), `${folder}: ${license}`);
});
