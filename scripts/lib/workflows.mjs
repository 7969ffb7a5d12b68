// Reading GitHub's workflow files: the few expressions that ours use.
import { Failure } from './run.mjs';

const SYSTEM = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' };
const RUNNER = { linux: /^ubuntu/, darwin: /^macos/, win32: /^windows/ };
const ARCHITECTURE = { x64: 'x86_64', arm64: 'aarch64' };

/** Replaces `${{ NAME }}` by what is known; an expression that is not is an error. */
export function filled(text, known) {
  return text.replaceAll(/\$\{\{\s*(.*?)\s*\}\}/g, (_, name) => {
    if (known[name] === undefined) throw new Failure(`Only GitHub knows ${name}: give it by --set ${name}=VALUE.`);
    return known[name];
  });
}

/** Whether a step's condition holds on this system: `runner.os == 'Linux'`, or `!=`. */
export function holds(condition, known = {}) {
  const [, name, sign, value] = /^\s*([\w.]+)\s*(==|!=)\s*'([^']*)'\s*$/.exec(condition) ?? [];
  if (name === undefined) throw new Failure(`The condition "${condition}" cannot be decided here.`);
  const actual = name === 'runner.os' ? SYSTEM[process.platform] : known[name];
  if (actual === undefined) throw new Failure(`Only GitHub knows ${name}: give it by --set ${name}=VALUE.`);
  return (actual === value) === (sign === '==');
}

/** Of a matrix with `include`, the entry whose system and processor are this machine's. */
export function matrixEntry(matrix, { platform = process.platform, arch = process.arch } = {}) {
  if (!matrix) return null;
  const entry = matrix.include.find(({ os, target }) => RUNNER[platform]?.test(os) && target.startsWith(ARCHITECTURE[arch]));
  if (!entry) throw new Failure(`The matrix has no entry for ${platform} on ${arch}.`);
  return entry;
}

/** What is wrong with a workflow, as sentences: actions are pinned to commits, rights are few, jobs end, and no step runs a stranger's text. */
export function workflowFaults(workflow) {
  const faults = [];
  if (JSON.stringify(workflow.permissions) !== '{"contents":"read"}') faults.push('the workflow as a whole may do more than read');
  for (const [name, job] of Object.entries(workflow.jobs)) {
    if (!(job['timeout-minutes'] > 0)) faults.push(`${name} has no timeout-minutes`);
    for (const step of job.steps) {
      if (step.uses && !/^[\w-]+\/[\w/-]+@[0-9a-f]{40}$/.test(step.uses)) faults.push(`${name}: ${step.uses} is not pinned to a commit`);
      if (step.uses?.startsWith('actions/checkout@') && step.with?.['persist-credentials'] !== false)
        faults.push(`${name}: the checkout leaves its credentials behind`);
      // Values reach a script as variables, which the shell does not run.
      if (step.run && /\$\{\{(?!\s*matrix\.)/.test(step.run))
        faults.push(`${name}: a script holds an expression: ${step.run.split('\n')[0]}`);
    }
  }
  return faults;
}
