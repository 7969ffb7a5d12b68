// Firefox, and WebKit (Safari's engine), for tests: driven by the protocols that they come with, as Playwright drives only builds of its own. Both are
// left out where they are not installed (on Debian: firefox-esr; webkit2gtk-driver, xvfb and xauth).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { which } from '../../scripts/lib/run.mjs';
import { STEP_TIMEOUT } from './harness.mjs';

/**
 * @typedef {object} Page
 * @property {(url: string) => Promise<unknown>} go
 * @property {(script: string) => Promise<any>} run the body of a function, in the page; returns what JSON holds of its result
 * @property {() => Promise<void>} close ends the browser
 */

/** Browsers by name: `missing` is null, or what to install; `open` starts one with an empty profile. */
export const ENGINES = {
  Firefox: { missing: firefoxPath() ? null : 'Firefox is not installed (Debian: firefox-esr)', open: openFirefox },
  WebKit: {
    missing: webkitPath() && display() ? null : 'WebKitGTK is not installed (Debian: webkit2gtk-driver, xvfb, xauth)',
    open: openWebKit,
  },
};

function firefoxPath() {
  return which('firefox-esr', 'firefox');
}

function webkitPath() {
  const folders = ['webkit2gtk-4.1', 'webkit2gtk-4.0', 'webkitgtk-6.0'].map(
    (name) => `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/${name}`,
  );
  return which('WebKitWebDriver') && folders.map((folder) => path.join(folder, 'MiniBrowser')).find((file) => fs.existsSync(file));
}

/** What starts a program on a screen. */
function display() {
  return process.env.DISPLAY ? [] : which('xvfb-run') && ['xvfb-run', '-a'];
}

/** A port that nobody listens on. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Repeats `act` until it does not throw. */
async function untilThere(act, child) {
  for (const end = Date.now() + STEP_TIMEOUT; ; await wait(100)) {
    try {
      return await act();
    } catch (error) {
      if (Date.now() > end || child.exitCode !== null) throw error;
    }
  }
}

/** A program with processes of its own, which `end` ends, too. */
function start(command, args) {
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  const left = new Promise((resolve) => child.once('exit', resolve));
  const end = async () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
    await left;
  };
  return { child, end };
}

/** By Marionette: messages `LENGTH:[0, id, command, parameters]`, answered by `LENGTH:[1, id, error, result]`. */
async function openFirefox() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-firefox-'));
  const port = await freePort();
  fs.writeFileSync(path.join(profile, 'user.js'), `user_pref('marionette.port', ${port});\n`);
  const { child, end } = start(firefoxPath(), ['--headless', '--marionette', '--no-remote', '--profile', profile]);
  const socket = await untilThere(
    () =>
      new Promise((resolve, reject) => {
        const made = net.connect(port, '127.0.0.1', () => resolve(made)).once('error', reject);
      }),
    child,
  );
  const waiting = new Map();
  let bytes = Buffer.alloc(0);
  socket.on('data', (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (;;) {
      const colon = bytes.indexOf(':');
      const length = Number(bytes.subarray(0, Math.max(colon, 0)));
      if (colon < 0 || bytes.length < colon + 1 + length) return;
      const message = JSON.parse(bytes.subarray(colon + 1, colon + 1 + length));
      bytes = bytes.subarray(colon + 1 + length);
      if (!Array.isArray(message)) continue; // its greeting
      const [, id, error, result] = message;
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(`${error.error}: ${error.message}`));
      else resolve(result?.value);
    }
  });
  let last = 0;
  const send = (command, parameters = {}) =>
    new Promise((resolve, reject) => {
      const message = JSON.stringify([0, ++last, command, parameters]);
      waiting.set(last, { resolve, reject });
      socket.write(`${Buffer.byteLength(message)}:${message}`);
    });
  await send('WebDriver:NewSession', {});
  return {
    go: (url) => send('WebDriver:Navigate', { url }),
    run: (script) => send('WebDriver:ExecuteScript', { script, args: [], sandbox: null }),
    close: async () => {
      socket.destroy();
      await end();
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** By WebDriver. */
async function openWebKit() {
  const port = await freePort();
  const [command, ...args] = [...display(), which('WebKitWebDriver'), `--port=${port}`];
  const { child, end } = start(command, args);
  const send = async (method, address, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${address}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  await untilThere(() => send('GET', '/status'), child);
  const options = { binary: webkitPath(), args: ['--automation'] };
  const wanted = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': options };
  const { sessionId } = await send('POST', '/session', { capabilities: { alwaysMatch: wanted } });
  const session = `/session/${sessionId}`;
  return {
    go: (url) => send('POST', `${session}/url`, { url }),
    run: (script) => send('POST', `${session}/execute/sync`, { script, args: [] }),
    close: async () => {
      await send('DELETE', session).catch(() => {});
      await end();
    },
  };
}
