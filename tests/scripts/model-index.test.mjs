import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { copyModels } from '../../scripts/lib/model-index.mjs';

test('the site offers the models that there are, and a removed one no longer', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-models-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const [from, to] = ['from', 'to'].map((name) => path.join(folder, name));
  const write = (name, content) => {
    fs.mkdirSync(path.dirname(path.join(from, name)), { recursive: true });
    fs.writeFileSync(path.join(from, name), content);
  };
  for (const model of ['one', 'two']) {
    write(`${model}/manifest.json`, '{"files": [{"path": "model.safetensors", "bytes": 3}], "steps": []}');
    write(`${model}/config.json`, '{"topk_k": 2}');
  }
  write('make.mjs', '');
  write('one/features/analysis.part/facts.json', '{}'); // of an analysis that was cut off
  write('one/features/index.json', '{}');
  const offered = () => {
    copyModels(from, to);
    const { models } = JSON.parse(fs.readFileSync(path.join(to, 'index.json'), 'utf8'));
    assert.deepEqual(fs.readdirSync(to).sort(), ['index.json', ...models.map(({ name }) => name)].sort());
    assert.deepEqual(fs.readdirSync(path.join(to, 'one')).sort(), ['config.json', 'features', 'manifest.json']);
    assert.deepEqual(fs.readdirSync(path.join(to, 'one/features')), ['index.json']);
    return models.map(({ name, bytes }) => [name, bytes]);
  };
  assert.deepEqual(offered(), [
    ['one', 3],
    ['two', 3],
  ]);
  fs.rmSync(path.join(from, 'two'), { recursive: true });
  assert.deepEqual(offered(), [['one', 3]]);
});
