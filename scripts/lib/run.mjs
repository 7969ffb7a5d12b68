// Child processes: one way to run a command, one way to report that it failed.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './paths.mjs';

/** An error whose message is meant for the person at the terminal: printed without a stack. */
export class Failure extends Error {}

/** Runs a command with its output on the terminal; throws a Failure unless it exits 0. */
export async function run(command, args, options = {}) {
  const { code } = await capture(command, args, options);
  if (code !== 0) throw new Failure(`${[path.basename(command), ...args].join(' ')} failed (exit code ${code}).`);
}

/** Runs a command, passing its output on and collecting it. `nice`: with what others leave of the processors. */
export function capture(command, args, { env, cwd = root, nice = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    if (nice && child.pid !== undefined) os.setPriority(child.pid, os.constants.priority.PRIORITY_BELOW_NORMAL);
    let output = '';
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.setEncoding('utf8');
      from.on('data', (text) => {
        output += text;
        to.write(text);
      });
    }
    child.on('error', (error) => reject(new Failure(`${command} could not be started: ${error.message}.`)));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/** The trimmed standard output of a command, or null if it is missing or fails. */
export function query(command, args, { env } = {}) {
  const result = spawnSync(command, args, { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 2 ** 26 });
  return result.status === 0 ? result.stdout.trim() : null;
}

/** The first of `names` found on PATH, as a full path, or null. */
export function which(...names) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  for (const name of names) {
    for (const folder of folders) {
      const file = path.join(folder, process.platform === 'win32' ? `${name}.exe` : name);
      if (fs.existsSync(file)) return file;
    }
  }
  return null;
}

/**
 * npm, as a command and its arguments: its script where that is known, which it is to what npm itself runs, and beside Node on Windows, where
 * Node starts no `npm.cmd`.
 */
export function npm(...args) {
  const beside = path.join(path.dirname(process.execPath), 'node_modules/npm/bin/npm-cli.js');
  const script = [process.env.npm_execpath, beside].find((file) => file?.endsWith('npm-cli.js') && fs.existsSync(file));
  return script ? [process.execPath, [script, ...args]] : ['npm', args];
}

/** Runs a script's main function; a Failure ends it with its one sentence, anything else with its stack. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    console.error(error instanceof Failure ? `\n${error.message}` : error);
    process.exitCode = 1;
  }
}
