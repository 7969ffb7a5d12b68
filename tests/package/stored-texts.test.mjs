// What Steer and the gallery show before the weights are there is what the engine writes today, byte for byte.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';

const shipped = inRoot('models/Llama-TopK-Stories-16M');
const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-texts-'));
after(() => fs.rmSync(parent, { recursive: true, force: true }));

test('steered.json and topics.json of the shipped model are up to date', () => {
  const folder = path.join(parent, path.basename(shipped));
  fs.cpSync(shipped, folder, { recursive: true, filter: (file) => !/step\d+$/.test(file) });
  const made = spawnSync(process.execPath, [inRoot('scripts/make-steered.mjs'), folder], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  for (const file of ['steered.json', 'topics.json']) {
    const [stored, now] = [shipped, folder].map((of) => fs.readFileSync(path.join(of, file), 'utf8'));
    assert.equal(now, stored, `${file} is out of date: node scripts/make-steered.mjs models/Llama-TopK-Stories-16M`);
  }
});
