// node scripts/workflow.mjs FILE JOB [--set NAME=VALUE…] [--keep DIR] [--target DIR]: runs the shell steps of a job of .github/workflows/FILE in a fresh clone of the
// last commit, as far as they need no GitHub: on this system, with the matrix entry for it. `--set` gives expressions that only GitHub
// knows (`--set github.ref_name=v0.1.0`); `--keep` is where the clone goes, and stays; `--target` is a `target` folder to begin with, which saves
// building the dependencies again.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { inRoot, root } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { filled, holds, matrixEntry } from './lib/workflows.mjs';

await main(() => {
  const { values, positionals } = parseArgs({
    options: { set: { type: 'string', multiple: true, default: [] }, keep: { type: 'string' }, target: { type: 'string' } },
    allowPositionals: true,
  });
  const [file, name] = positionals;
  const source = inRoot('.github/workflows', file ?? '');
  if (!file || !fs.existsSync(source)) throw new Failure('Usage: node scripts/workflow.mjs FILE JOB, FILE in .github/workflows.');
  const workflow = parse(fs.readFileSync(source, 'utf8'));
  const job = workflow.jobs[name];
  if (!job?.steps) throw new Failure(`${file} has no job "${name}"; its jobs are ${Object.keys(workflow.jobs).join(', ')}.`);
  const known = Object.fromEntries(values.set.map((text) => text.split(/=(.*)/s).slice(0, 2)));
  for (const [key, value] of Object.entries(matrixEntry(job.strategy?.matrix) ?? {})) known[`matrix.${key}`] ??= String(value);

  const folder = values.keep ?? fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-workflow-'));
  try {
    shell(`git clone --quiet '${root}' '${folder}'`, os.tmpdir(), {});
    if (values.target) fs.cpSync(values.target, path.join(folder, 'target'), { recursive: true, preserveTimestamps: true });
    runSteps(job.steps, { folder, known, env: { ...workflow.env, ...job.env } });
  } finally {
    if (!values.keep) fs.rmSync(folder, { recursive: true, force: true });
  }
});

function runSteps(steps, { folder, known, env }) {
  for (const step of steps) {
    const title = step.name ?? step.run?.split('\n')[0] ?? step.uses;
    if (step.uses) {
      console.log(`– ${title} (GitHub's own)`);
      continue;
    }
    if (step.if !== undefined && !holds(step.if, known)) {
      console.log(`– ${title} (not here: ${step.if})`);
      continue;
    }
    console.log(`\n· ${title}`);
    const files = Object.fromEntries(['OUTPUT', 'ENV'].map((name) => [`GITHUB_${name}`, path.join(folder, `.github-${name}`)]));
    for (const file of Object.values(files)) fs.writeFileSync(file, '');
    const given = Object.fromEntries(Object.entries({ ...env, ...step.env }).map(([key, value]) => [key, filled(String(value), known)]));
    shell(filled(step.run, known), path.join(folder, step['working-directory'] ?? ''), { ...given, ...files });
    for (const [key, value] of linesOf(files.GITHUB_OUTPUT)) if (step.id) known[`steps.${step.id}.outputs.${key}`] = value;
    for (const [key, value] of linesOf(files.GITHUB_ENV)) env[key] = value;
  }
}

/** NAME=VALUE in each line of what a step wrote, which is then gone. */
function linesOf(file) {
  const text = fs.readFileSync(file, 'utf8');
  fs.rmSync(file);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(/=(.*)/s));
}

/** As GitHub runs a step. Where there is no sudo, root needs none. */
function shell(script, cwd, env) {
  const sudo = process.getuid?.() === 0 ? 'sudo() { "$@"; }\n' : '';
  const { status } = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', sudo + script], {
    cwd,
    env: { ...process.env, CI: 'true', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Failure(`The step failed (exit code ${status}).`);
}
