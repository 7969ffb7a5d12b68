// Commands and code that pages give to copy, without a browser.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { siteModule } from './page-kit.mjs';

const taken = await siteModule('explore-code.ts');

test('a command that is copied runs nothing that a name says', () => {
  const run = { url: 'u', folder: '$(touch x)', step: 3, isPicked: false, ids: [1, 2], hooks: ['hook_embed'] };
  const command = "topk-lm run --model '$(touch x)/step3' --ids 1,2 --hook hook_embed --out activations.safetensors";
  assert.ok(taken.asCommand(run).endsWith(`\ndone\n${command}`));
  assert.equal(taken.asCommand({ ...run, step: null }), command.replace('/step3', ''));
});

test('a command for a training step gives its folder the files that it lacks, and leaves it its own', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-copied-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.mkdirSync(path.join(folder, 'bin'));
  fs.writeFileSync(path.join(folder, 'bin/topk-lm'), '#!/bin/sh\necho "$*"\n', { mode: 0o755 });
  const shell = (command) => {
    const env = { ...process.env, PATH: `${path.join(folder, 'bin')}${path.delimiter}${process.env.PATH}` };
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: folder, env, encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
    return stdout;
  };
  for (const [name, tokenizer] of [
    ['$(touch x)', ['tokenizer.json']],
    ["it's gpt2", []],
  ]) {
    const own = ['config.json', 'generation_config.json', 'tokenizer_config.json', ...tokenizer];
    const step = path.join(folder, name, 'step3');
    fs.mkdirSync(step, { recursive: true });
    for (const file of own) fs.writeFileSync(path.join(folder, name, file), `the model's ${file}`);
    fs.writeFileSync(path.join(step, 'config.json'), "the step's");
    const command = taken.asCommand({ url: 'u', folder: name, step: 3, isPicked: false, ids: [1, 2], hooks: ['hook_embed'] });
    for (let time = 0; time < 2; time++) {
      assert.equal(shell(command), `run --model ${name}/step3 --ids 1,2 --hook hook_embed --out activations.safetensors\n`);
      assert.deepEqual(fs.readdirSync(step).sort(), own.sort());
      const texts = own.map((file) => fs.readFileSync(path.join(step, file), 'utf8'));
      assert.deepEqual(
        texts,
        own.map((file) => (file === 'config.json' ? "the step's" : `the model's ${file}`)),
      );
    }
  }
  assert.deepEqual(fs.readdirSync(folder).sort(), ['$(touch x)', 'bin', "it's gpt2"]);
});

test('code names a folder that can exist: that of an address, of a hub, of picked files', async () => {
  const { codeModel, loadingCode } = await siteModule('model-code.ts');
  const named = (name, more) => codeModel({ name, url: new URL(`https://site.example/models/x/`), ...more }, null);
  for (const [name, folder] of [
    ['Llama-TopK', 'Llama-TopK'],
    ['https://models.example/a/My%20model/', 'My model'],
    ['https://huggingface.co/owner/name/resolve/main/', 'name'],
    ['https://models.example/', 'models.example'],
  ])
    assert.deepEqual([named(name).folder, named(name).url], [folder, 'https://site.example/models/x/']);
  const picked = named('Llama-TopK (yours)', { files: {} });
  assert.deepEqual([picked.folder, picked.url], ['Llama-TopK', './Llama-TopK/']);
  assert.match(loadingCode(picked), /\n\/\/ The folder that was chosen.*\nconst model = await TopKLM\.load\("\.\/Llama-TopK\/"\);\n$/);
  assert.match(loadingCode({ ...named('a'), step: 4 }), /\n\nconst model = .*\nawait model\.loadCheckpoint\(4\);\n$/);
});
