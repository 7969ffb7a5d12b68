// The site's module of statistics writes what the command writes, byte for byte: crate/src/features compiled twice.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildCommand } from '../../scripts/lib/command.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { filesUnder } from '../../scripts/lib/steps.mjs';

const GENERATED = inRoot('www/src/generated');
const CORPUS = inRoot('tests/features_corpus.jsonl');
const SHIPPED = inRoot('models/Llama-TopK-Stories-16M');
const STORIES = `One day, a girl named Lily went to the park. She saw a big dog and said, "Hello, dog!" The dog ran to her.
<|endoftext|>
Tom and Sam were friends. They had 3 red balls, and they liked to play in the sun. Mom said, "Come in, it is late."
<|endoftext|>
${'The cat sat on the mat and looked at the moon. '.repeat(60)}`;

/** A model folder as `crate/src/wasm/source.rs` reads it. */
const sourceOf = (folder, only = () => true) => ({
  size: (file) => (only(file) && fs.existsSync(path.join(folder, file)) ? fs.statSync(path.join(folder, file)).size : undefined),
  read: async (file, offset, length) => new Uint8Array(fs.readFileSync(path.join(folder, file)).subarray(offset, offset + length)),
});

describe('statistics in the tab', { timeout: 1_800_000 }, () => {
  let folder;
  let binary;
  let module;
  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-statistics-'));
    binary = await buildCommand();
    module = await import(pathToFileURL(path.join(GENERATED, 'statistics.js')).href);
    await module.default({ module_or_path: fs.readFileSync(path.join(GENERATED, 'statistics_bg.wasm')) });
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  const load = (model) => module.Statistics.load(sourceOf(model), path.basename(model), () => {}, new module.Cancel());
  const toTheEnd = async (statistics) => {
    let reached;
    do reached = await statistics.next(new module.Cancel());
    while (!reached.done);
    return reached;
  };
  const filesOf = async (statistics) => {
    const files = new Map();
    await statistics.report((file, bytes) => files.set(file, Buffer.from(bytes).toString()), new module.Cancel());
    return files;
  };
  /** What the command writes over a text, by path. */
  const commanded = (model, corpus) => {
    const out = fs.mkdtempSync(path.join(folder, 'out-'));
    const made = spawnSync(binary, ['analyze', '--model', model, '--corpus', corpus, '--out', out, '--threads', '1'], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return new Map(filesUnder(out).map((file) => [path.relative(out, file).split(path.sep).join('/'), fs.readFileSync(file, 'utf8')]));
  };
  const assertSame = (own, expected) => {
    assert.deepEqual([...own.keys()].sort(), [...expected.keys()].sort());
    for (const [file, text] of own) assert.ok(text === expected.get(file), `${file} differs`);
  };

  for (const name of ['llama-gqa', 'gpt2', 'llama-dense-bias']) {
    test(`${name} over ids`, async () => {
      const model = inRoot('tests/goldens/models', name);
      const statistics = await load(model);
      statistics.add(path.basename(CORPUS), fs.readFileSync(CORPUS, 'utf8'));
      const reached = await toTheEnd(statistics);
      assert.ok(reached.tokens > 500 && reached.positions < reached.tokens);
      assertSame(await filesOf(statistics), commanded(model, CORPUS));
    });
  }

  test('a trained model over a text, in windows of its context', async () => {
    const corpus = path.join(folder, 'stories.txt');
    fs.writeFileSync(corpus, STORIES);
    // The twin lies in another folder, which the tab does not have: the same model without the names of its twin.
    const model = path.join(folder, 'Alone');
    fs.mkdirSync(model);
    for (const file of ['generation_config.json', 'tokenizer.json', 'model.safetensors']) {
      fs.symlinkSync(path.join(SHIPPED, file), path.join(model, file));
    }
    const config = JSON.parse(fs.readFileSync(path.join(SHIPPED, 'config.json'), 'utf8'));
    fs.writeFileSync(path.join(model, 'config.json'), JSON.stringify({ ...config, dense_twin: undefined }));
    const statistics = await load(model);
    statistics.add('stories.txt', STORIES);
    await toTheEnd(statistics);
    assertSame(await filesOf(statistics), commanded(model, corpus));
  });

  test('text that comes bit by bit, a count that is cancelled, and snapshots change nothing', async () => {
    const model = inRoot('tests/goldens/models/llama-gqa');
    const lines = fs.readFileSync(CORPUS, 'utf8').split('\n').filter(Boolean);
    const statistics = await load(model);
    for (const line of lines.slice(0, 9)) statistics.add(path.basename(CORPUS), `${line}\n`);
    await toTheEnd(statistics);
    const early = JSON.parse((await filesOf(statistics)).get('index.json'));
    assert.equal(early.corpus.documents, statistics.documents);
    for (const line of lines.slice(9)) statistics.add(path.basename(CORPUS), `${line}\n`);
    const cancel = new module.Cancel();
    cancel.cancel();
    await assert.rejects(statistics.next(cancel), { code: 'aborted' });
    await toTheEnd(statistics);
    assertSame(await filesOf(statistics), commanded(model, CORPUS));
  });

  test('what is wrong with a text or a model is said', async () => {
    const model = inRoot('tests/goldens/models/llama-gqa');
    const statistics = await load(model);
    assert.throws(() => statistics.add('own-text.txt', 'A text.'), { code: 'tokenizer', message: /tokenizer\.json/ });
    await assert.rejects(
      statistics.report(() => {}, new module.Cancel()),
      { code: 'argument', message: /no documents/ },
    );
    statistics.add('ids.jsonl', '{"ids": [1, 2]}\n{"ids": [99999]}\n');
    await statistics.next(new module.Cancel());
    await assert.rejects(statistics.next(new module.Cancel()), { code: 'argument', message: /ids\.jsonl line 2/ });
    const { load: from } = module.Statistics;
    const empty = sourceOf(model, () => false);
    await assert.rejects(
      from(empty, 'empty', () => {}, new module.Cancel()),
      { code: 'config', message: /config\.json/ },
    );
  });
});
