// node scripts/make-continuations.mjs NAME…: makes models/NAME/continuations.json, with which Trace opens: one prompt, continued greedily by the
// weights of every training step and by the final ones, as `topk-lm generate` does it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, paths, show } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';
import { writeWhole } from './lib/write.mjs';

const BESIDE = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'];

await main(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !fs.existsSync(path.join(paths.models, name, 'manifest.json')));
  if (names.length === 0 || unknown !== undefined)
    throw new Failure('Usage: node scripts/make-continuations.mjs NAME…, each a folder in models/ with a manifest.json.');
  const { DEFAULT_PROMPT: prompt, LENGTH: tokens } = await siteModule('continuations.ts');
  for (const name of names) {
    const folder = path.join(paths.models, name);
    const { steps } = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
    const texts = [...steps, null].map((step) => ({ step, text: continuation(folder, step, prompt, tokens) }));
    const file = path.join(folder, 'continuations.json');
    writeWhole(file, `${JSON.stringify({ format: 1, prompt, tokens, texts })}\n`);
    console.log(show(file), fs.statSync(file).size, 'bytes');
  }
});

/** A step's folder holds weights only: the command gets a folder with the rest beside them. */
function continuation(folder, step, prompt, tokens) {
  const whole = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-step-'));
  try {
    for (const name of BESIDE) {
      if (fs.existsSync(path.join(folder, name))) fs.symlinkSync(path.join(folder, name), path.join(whole, name));
    }
    const weights = step === null ? folder : path.join(folder, `step${step}`);
    for (const name of fs.readdirSync(weights).filter((each) => /^model.*\.safetensors(\.index\.json)?$/.test(each)))
      fs.symlinkSync(path.join(weights, name), path.join(whole, name));
    const command = ['run', '--quiet', '--locked', '-p', 'topk-lm', '--bin', 'topk-lm', '--', 'generate', '--model', whole];
    const how = ['--backend', 'cpu', '--prompt', prompt, '--temperature', '0', '--max-tokens', String(tokens), '--ignore-eos', '--json'];
    const output = execFileSync('cargo', [...command, ...how], { cwd: inRoot(), encoding: 'utf8' });
    return JSON.parse(output.trim().split('\n').at(-1)).text;
  } finally {
    fs.rmSync(whole, { recursive: true, force: true });
  }
}
