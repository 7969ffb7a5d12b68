// Documented commands: each command line in Markdown (```sh blocks, and code in a sentence that begins with one of our commands) names
// programs, subcommands, flags, scripts and files that exist; the quick ones of README.md and the guides are run.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildCommand } from './command.mjs';
import { projectFiles } from './links.mjs';
import { inRoot, paths } from './paths.mjs';
import { Failure, query } from './run.mjs';

/** Code in a sentence that is a command line. */
const INLINE = /^(?:topk-lm \w|npm (?:run|test|start)\b|cargo \w|node \w|python3? (?:-m )?\w)/;
/** Subcommands that run in seconds on the shipped model. */
const QUICK = new Set(['info', 'generate', 'run', 'analyze', 'turn']);
/** Those that take a minute and more: run in `npm run soak`. */
const SLOW = new Set(['steer']);
/** What `TEXT.jsonl` stands for in a command that is run. */
const TEXTS = ['The dog ran to the park. He saw a big tree.', 'Lily had a red ball. She was happy.', 'One day, a bird sang in the garden.'];

/** Documents whose quick commands are run. */
const isRun = (file) => file === 'README.md' || file.startsWith('docs/guides/');

/** Command lines of a Markdown file, with their lines: comments left out, continued lines joined, `a && b` taken apart. */
export function commandsIn(markdown) {
  const found = [];
  const lineAt = (index) => markdown.slice(0, index).split('\n').length;
  const add = (text, line) => {
    for (const part of text.replace(/(^|\s)#.*/, '').split(/&&|;|\|(?!\w)/)) {
      if (part.trim() !== '') found.push({ command: part.trim().replaceAll(/\s+/g, ' '), line });
    }
  };
  for (const block of markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
    const first = block.index + '```sh\n'.length;
    for (const whole of block[1].matchAll(/(?:.*\\\n)*.*/g)) add(whole[0].replaceAll('\\\n', ' '), lineAt(first + whole.index));
  }
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gm, (block) => block.replaceAll(/[^\n]/g, ' '));
  for (const indented of prose.matchAll(/^ {4}(\S.*)$/gm)) if (INLINE.test(indented[1])) add(indented[1], lineAt(indented.index));
  for (const span of prose.matchAll(/`([^`]+)`/g)) if (INLINE.test(span[1])) add(span[1].replaceAll('\n', ' '), lineAt(span.index));
  return found;
}

/** Words of a command line, quotes taken off. */
export const wordsOf = (command) => [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3]);

/** A placeholder: NAME, DIR, FILE…, <op>, {N}. */
const isPlaceholder = (word) => /^[A-Z][A-Z\d-]*…?$|…|[<>{}]/.test(word);
const flagsOf = (words) => words.flatMap((word) => /^\[?(--[\w-]+)/.exec(word)?.[1] ?? []);

/**
 * What is wrong with one command line: a phrase, or null.
 * @param {string} command
 * @param {object} facts of the project: `help(subcommand)` and `python(module)` give a text or null, `scripts` and `checks` are names,
 *   `exists(path)` looks from the root
 */
export function commandFault(command, facts) {
  const [program, ...rest] = wordsOf(command);
  const missing = (flags, text) => flags.find((flag) => !new RegExp(`${flag}(?![\\w-])`).test(text));
  switch (program) {
    case 'topk-lm': {
      if (isPlaceholder(rest[0] ?? '')) return null;
      const help = facts.help(rest[0]);
      if (help === null) return `topk-lm has no subcommand ${rest[0]}`;
      const flag = missing(flagsOf(rest), help);
      return flag ? `topk-lm ${rest[0]} has no ${flag}` : null;
    }
    case 'npm': {
      const script = rest[0] === 'run' ? rest[1] : rest[0];
      if (rest[0] === 'i' || rest[0] === 'ci') return null;
      if (!facts.scripts.includes(script)) return `package.json has no script ${script}`;
      const names = ['test', 'soak'].includes(script) && rest.includes('--') ? rest.slice(rest.indexOf('--') + 1) : [];
      const unknown = names.find((name) => !isPlaceholder(name) && !facts.checks.includes(name));
      return unknown ? `there is no check ${unknown}` : null;
    }
    case 'cargo': {
      const at = rest.indexOf('--test');
      if (at >= 0 && !['.rs', '/main.rs'].some((ending) => facts.exists(`crate/tests/${rest[at + 1]}${ending}`)))
        return `crate/tests has no ${rest[at + 1]}`;
      const bin = rest.indexOf('--bin');
      return bin >= 0 && !facts.exists(`crate/src/bin/${rest[bin + 1]}`) ? `the crate has no binary ${rest[bin + 1]}` : null;
    }
    case 'python':
    case 'python3': {
      if (rest[0] !== '-m') return facts.exists(rest[0]) ? null : `there is no file ${rest[0]}`;
      if (['venv', 'build', 'http.server'].includes(rest[1]) || isPlaceholder(rest[1])) return null;
      const source = facts.python(rest[1]);
      if (source === null) return `training/ has no module ${rest[1]}`;
      const flag = missing(flagsOf(rest.slice(2)), source);
      return flag ? `${rest[1]} has no ${flag}` : null;
    }
    case 'torchrun':
      return commandFault(`python ${rest.slice(rest.indexOf('-m')).join(' ')}`, facts);
    case 'pip':
      return rest.includes('-r') && !facts.exists(rest[rest.indexOf('-r') + 1]) ? `there is no file ${rest[rest.indexOf('-r') + 1]}` : null;
    case 'node':
    case 'sh':
      return facts.exists(rest[0]) ? null : `there is no file ${rest[0]}`;
    case 'cd':
      return facts.exists(rest[0]) ? null : `there is no folder ${rest[0]}`;
    case 'jupyter':
    case 'marimo': {
      const file = rest.find((word) => /\.(ipynb|py)$/.test(word));
      return file === undefined || facts.exists(file) ? null : `there is no file ${file}`;
    }
    case 'maturin':
    case 'npx':
    case 'alias':
    case 'cp':
    case 'mkdir':
    case '.':
      return null;
    default:
      return `${program} is a program that scripts/lib/commands.mjs does not know`;
  }
}

/** @param {string[]} checks names of the checks of `npm test` */
export async function checkCommands(checks) {
  const binary = await buildCommand();
  const helps = new Map();
  const facts = {
    checks,
    scripts: Object.keys(JSON.parse(fs.readFileSync(inRoot('package.json'), 'utf8')).scripts),
    exists: (name) => fs.existsSync(inRoot(name)),
    help: (subcommand) => {
      if (!helps.has(subcommand)) helps.set(subcommand, query(binary, [subcommand, '--help']));
      return helps.get(subcommand);
    },
    python: pythonSource,
  };
  const faults = [];
  let count = 0;
  for (const file of projectFiles().filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')) {
    for (const { command, line } of commandsIn(fs.readFileSync(inRoot(file), 'utf8'))) {
      count++;
      const fault = commandFault(command, facts) ?? (isRun(file) ? outcomeFault(command, binary) : null);
      if (fault) faults.push(`${file}:${line}: ${command}: ${fault}.`);
    }
  }
  if (faults.length > 0) throw new Failure(faults.join('\n'));
  console.log(`${count} command lines`);
}

/** A module of training/, or a package's main module, with what it imports from beside it, where shared flags are. */
export function pythonSource(module) {
  const name = inRoot('training', module.replaceAll('.', '/'));
  const file = [`${name}.py`, path.join(name, '__main__.py')].find((candidate) => fs.existsSync(candidate));
  if (file === undefined) return null;
  const shared = path.join(path.dirname(file), 'common.py');
  return [file, shared].map((name) => (fs.existsSync(name) ? fs.readFileSync(name, 'utf8') : '')).join('\n');
}

const isRunHere = (subcommand) => QUICK.has(subcommand) || (process.env.SOAK === '1' && SLOW.has(subcommand));

/** Runs a quick command as a reader would, in a folder with the models and a text. */
function outcomeFault(command, binary) {
  const [program, ...words] = wordsOf(command);
  if (program !== 'topk-lm' || !isRunHere(words[0]) || !words.includes('--model')) return null;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-commands-'));
  try {
    fs.symlinkSync(paths.models, path.join(folder, 'models'), 'junction');
    fs.writeFileSync(path.join(folder, 'TEXT.jsonl'), TEXTS.map((text) => `${JSON.stringify({ text })}\n`).join(''));
    const timeout = SLOW.has(words[0]) ? 1_200_000 : 120_000;
    const { status, stderr } = spawnSync(binary, words, { cwd: folder, encoding: 'utf8', timeout });
    return status === 0 ? null : `it failed: ${(stderr ?? '').trim()}`;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
