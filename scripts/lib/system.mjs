// What the system must have: we find it, install it if we may (as root on Debian), or say exactly what to install.
import fs from 'node:fs';
import { step } from './steps.mjs';
import { Failure, npm, query, run, which } from './run.mjs';

const isDebian = () => which('apt-get') !== null && which('dpkg-query') !== null;
const isRoot = () => process.getuid?.() === 0;

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
const installed = (name) => query('dpkg-query', ['-W', '-f=${db:Status-Status}', name]) === 'installed';

/**
 * Arguments of apt-get. Another install may hold dpkg's lock (unattended upgrades do, on a fresh machine): apt-get then waits five
 * minutes for it instead of failing at once.
 */
export const aptArguments = (...more) => ['-o', 'DPkg::Lock::Timeout=300', '-qq', ...more];

let listsFresh = false;

/**
 * Debian packages, installed when missing.
 * @param {string[]} packages
 * @param {string} purpose one sentence: who needs them, and what to install on other systems
 */
export async function ensureDebianPackages(packages, purpose) {
  const missing = isDebian() ? packages.filter((name) => !installed(name)) : packages;
  if (missing.length === 0) return;
  const advice = `apt-get install ${missing.join(' ')}`;
  if (!isDebian()) throw new Failure(purpose);
  if (!isRoot()) throw new Failure(`${purpose} Run: sudo ${advice}`);
  console.log(`· ${advice}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if (!listsFresh) await run('apt-get', aptArguments('update'), { env });
  listsFresh = true;
  await run('apt-get', aptArguments('install', '-y', '--no-install-recommends', ...missing), { env });
}

/** The npm packages in the lock file. */
export async function ensureNodeModules() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Failure(`Node ${process.versions.node} is too old: install Node 20.19 or later.`);
  }
  await step(
    'npm packages',
    {
      inputs: ['package.json', 'package-lock.json', 'www/package.json'],
      outputs: ['node_modules/esbuild', 'www/node_modules/typescript'],
      facts: process.versions.modules,
    },
    () => run(...npm('ci', '--no-audit', '--no-fund')),
  );
}

/** The Rust tool chain for native builds. */
export function ensureCargo() {
  if (which('cargo') === null) {
    throw new Failure('cargo was not found: install Rust 1.89 or later (https://rustup.rs), then open a new terminal.');
  }
}

/** Chromium for tests: $CHROMIUM, one on PATH, or Debian's. */
export async function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  await ensureDebianPackages(
    ['chromium'],
    'The browser tests need Chromium: put `chromium` or `google-chrome` on PATH, or set CHROMIUM to its full path.',
  );
  const now = findChromium();
  if (!now) throw new Failure('Chromium was installed but is not on PATH: set CHROMIUM to its full path.');
  return now;
}

const MAC_CHROME = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';

export function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const onPath = which('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome');
  return onPath ?? (fs.existsSync(MAC_CHROME) ? MAC_CHROME : null);
}

/** Chromium's headless shell, which most tests can do with, where it can be had without asking; null elsewhere, and where CHROMIUM names a browser. */
export async function ensureHeadlessShell() {
  if (process.env.CHROMIUM) return null;
  const name = 'chromium-headless-shell';
  if (which(name) === null)
    await installIfAllowed([name], 'Chromium’s headless shell could not be installed; Chromium itself does its work');
  return which(name);
}

/** Firefox and WebKit, where they can be had without asking: their tests are skipped without them. */
export async function installOtherBrowsers() {
  const missing = [];
  if (which('firefox-esr', 'firefox') === null) missing.push('firefox-esr');
  if (which('WebKitWebDriver') === null) missing.push('webkit2gtk-driver');
  if (!process.env.DISPLAY && which('xvfb-run') === null) missing.push('xvfb', 'xauth');
  await installIfAllowed(missing, 'Firefox and WebKit could not be installed');
}

/** Debian packages that tests can do without, as root on Debian; `otherwise` is said where they cannot be had. */
async function installIfAllowed(packages, otherwise) {
  if (packages.length === 0 || !isDebian() || !isRoot()) return;
  try {
    await ensureDebianPackages(packages, '');
  } catch (error) {
    console.log(`${otherwise}: ${error.message}`);
  }
}

/** A Vulkan driver for the native GPU tests: the machine's own, or Mesa's lavapipe (a CPU emulation). */
export async function ensureVulkan() {
  if (process.platform !== 'linux') return; // Metal and Direct3D come with the system.
  const haveDriver = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d'].some(
    (folder) => fs.existsSync(folder) && fs.readdirSync(folder).some((name) => name.endsWith('.json')),
  );
  const haveLoader = (query('ldconfig', ['-p']) ?? query('/sbin/ldconfig', ['-p']) ?? '').includes('libvulkan.so.1');
  if (haveDriver && haveLoader) return;
  await ensureDebianPackages(
    ['mesa-vulkan-drivers', 'libvulkan1'],
    'The native GPU tests need a Vulkan driver: install one, or Mesa (whose lavapipe needs no GPU), and the Vulkan loader.',
  );
}
