// What the tests of notebooks, of the cluster and of the wheels share: Python environments, and servers that are started and stopped.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { Failure, npm, query, run, which } from '../../scripts/lib/run.mjs';
import { step } from '../../scripts/lib/steps.mjs';

export const notebooks = inRoot('examples/notebooks');

/** What the wheel of the notebooks' package is made of. */
const PACKAGE = ['python/pyproject.toml', 'python/hatch_build.py', 'python/README.md', 'python/src', 'dist/npm/bundle.js'];

/** Virtual environments, and the files that say what is in them. */
const REQUIREMENTS = {
  cluster: 'examples/cluster/requirements.txt',
  wheel: 'tests/python/requirements-wheel.txt',
  notebooks: 'examples/notebooks/requirements.txt',
  jupyterlite: 'examples/notebooks/jupyterlite/requirements.txt',
};

/** Makes them, where they can be made, with what others leave of the processors: the tests that need them wait less. */
export async function prepareEnvironments(names = Object.keys(REQUIREMENTS)) {
  for (const name of names) await environment({ skip: console.log }, name, { nice: true });
}

/**
 * The programs of the virtual environment `name`, and the notebooks' package in it if `own`; null, with a word about it, if its packages cannot be
 * installed.
 */
export async function environment(t, name, { own = false, nice = false } = {}) {
  const requirements = REQUIREMENTS[name];
  const folder = inRoot('target/python', name);
  const bin = (program) => path.join(folder, process.platform === 'win32' ? `Scripts/${program}.exe` : `bin/${program}`);
  const python = which('python3', 'python');
  const recent = python && query(python, ['-c', 'import sys; print(sys.version_info >= (3, 11))']) === 'True';
  if (!recent) {
    t.skip('Python 3.11 or later was not found');
    return null;
  }
  // Python compiles what is imported.
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'];
  const outputs = [path.relative(inRoot(), folder)];
  try {
    await step(`environment of ${name}`, { inputs: [requirements], outputs, facts: python }, async () => {
      await run(python, ['-m', 'venv', '--clear', folder], { nice });
      await run(bin('python'), [...pip, '-r', inRoot(requirements)], { nice });
    });
    if (own) {
      await step(`package in ${name}`, { inputs: [requirements, ...PACKAGE], outputs, facts: python }, () =>
        run(bin('python'), [...pip, '--force-reinstall', '--no-deps', inRoot('python')]),
      );
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    t.skip(`the Python packages of ${requirements} could not be installed`);
    return null;
  }
  return bin;
}

/** Ports below those that systems give to connections, of which another may get one before the server that it is for has started. */
const PORTS = { from: 10_000, to: 32_000 };

/** A port that is free now. */
export async function freePort() {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A process that has come to its end, or was brought to it by a signal. */
export const hasEnded = ({ exitCode, signalCode }) => exitCode !== null || signalCode !== null;

/** Starts a server and waits until `url` answers; it ends with the test. */
export async function startServer(t, command, args, { url, cwd, env = {} }) {
  let said = '';
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  t.after(async () => {
    try {
      process.kill(-child.pid, 'SIGTERM'); // with its kernels
    } catch {}
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
  });
  for (const end = Date.now() + 600_000; Date.now() < end; ) {
    if (hasEnded(child)) throw new Error(`${command} ended: ${said.slice(-2000)}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return { said: () => said };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${command} does not answer at ${url}: ${said.slice(-2000)}`);
}

/** A copy of examples/notebooks that lies to the models and to the built package as the original does, so that a run leaves nothing behind in the repository. */
export function workspace(t, name) {
  const folder = inRoot('target/python', `work-${name}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(path.join(folder, 'examples'), { recursive: true });
  fs.cpSync(notebooks, path.join(folder, 'examples/notebooks'), {
    recursive: true,
    filter: (file) => path.basename(file) !== 'node_modules',
  });
  for (const beside of ['models', 'dist']) fs.symlinkSync(inRoot(beside), path.join(folder, beside), 'junction');
  // What runs in it may still write while it ends.
  t.after(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return path.join(folder, 'examples/notebooks');
}

/** npm packages of a folder with a lock file, or null, with a word about it, if they cannot be installed. */
export async function npmPackages(t, folder) {
  try {
    // Not `ci`: it asks a lock file for other systems' optional packages too, which npm itself leaves out.
    await run(...npm('install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'), { cwd: folder });
    return (program) => path.join(folder, 'node_modules/.bin', program);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    t.skip(`the npm packages of ${path.basename(folder)} could not be installed`);
    return null;
  }
}

/** The texts that the shipped model writes greedily, plain and with the neuron that turns he into she. */
export const PLAIN = ' he decided to take a nap. He was so excited to go to the park. He wanted';
export const STEERED = ' she decided to go for a walk. She wanted to go to the park, but she was too';
